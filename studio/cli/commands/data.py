"""`tunesmith data inspect | render | stats`: what is in a file of rows, and what a model would see and learn of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from studio.cli.options import AsJson

File = Annotated[Path, typer.Argument(metavar="FILE", help="JSONL, JSON, CSV, TSV, Parquet, Arrow or plain text.")]
FormatKey = Annotated[str, typer.Option("--format", help='What a row looks like; "auto" is what the program finds.')]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="ROLE=NAME", help="Which column plays which role. May be repeated."),
]
TrainOn = Annotated[str, typer.Option("--train-on", help="answers, last_answer or everything.")]

COMMAND = typer.Typer(help="Look into a file of rows.", no_args_is_help=True)


@COMMAND.command("inspect")
def inspect(file: File, form: FormatKey = "auto", columns: Columns = None, as_json: AsJson = False) -> int:
    """Say what a file holds: container, encoding, columns, row format and why, broken rows, first rows."""
    from studio.cli import data_options as options
    from studio.cli import data_views as views
    from studio.cli.following import make_console
    from studio.cli.waiting import progress

    with progress(f"Reading {file.name}", "rows") as bar:
        from studio.data.inspection import inspect as look

        found = look(file, on_progress=bar)
    guess = options.recognised(found.first, options.mapping(columns), form)
    if as_json:
        typer.echo(json.dumps(views.inspection_json(found, guess), indent=1, default=str))
    else:
        views.print_inspection(make_console(), found, guess)
    return 0


@COMMAND.command("render")
def render(
    file: File,
    model: Annotated[str, typer.Option("--model", help="A model folder, a Hub name, or starter.")],
    row: Annotated[
        int, typer.Option("--row", min=0, help="The row's line, or its place in a file without lines; 0 is the first.")
    ] = 0,
    train_on: TrainOn = "answers",
    max_length: Annotated[int, typer.Option("--max-length", min=0, help="Cut after this many tokens; 0 never.")] = 0,
    truncation: Annotated[str, typer.Option("--truncation", help="Which side is cut: end or start.")] = "end",
    form: FormatKey = "auto",
    columns: Columns = None,
    as_json: AsJson = False,
) -> int:
    """Show a row as the model sees it, and which of its tokens are learned."""
    from studio.cli import data_options as options
    from studio.cli import data_views as views
    from studio.cli.following import make_console
    from studio.data.preview import preview

    settings = options.encoding_settings(train_on, truncation, max_length)
    shown = preview(file, row, options.reader_of(file, columns, form), options.load_tokenizer(model), settings)
    if as_json:
        typer.echo(json.dumps(views.preview_json(shown), indent=1))
    else:
        views.print_preview(make_console(), shown)
    return 0


@COMMAND.command("stats")
def stats(
    file: File,
    model: Annotated[str, typer.Option("--model", help="Count tokens of this model; without, characters.")] = "",
    train_on: TrainOn = "answers",
    form: FormatKey = "auto",
    columns: Columns = None,
    as_json: AsJson = False,
) -> int:
    """Lengths, what a longest row would cut, duplicates, and how much of the file is learned."""
    from dataclasses import asdict

    from studio.cli import data_options as options
    from studio.cli import data_views as views
    from studio.cli.following import make_console
    from studio.cli.waiting import progress

    with progress(f"Measuring {file.name}", "rows") as bar:
        from studio.data.statistics import measure

        tokenizer = options.load_tokenizer(model) if model else None
        settings = options.encoding_settings(train_on, "end", 0)
        figures = measure(file, options.reader_of(file, columns, form), tokenizer, settings, on_progress=bar)
    if as_json:
        typer.echo(json.dumps(asdict(figures), indent=1))
    else:
        views.print_statistics(make_console(), figures)
    return 0
