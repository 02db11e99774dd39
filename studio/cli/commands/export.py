"""`tunesmith export`: a run, an adapter or a model as GGUF, merged model or adapter, checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.cli.options import AsJson


def export(
    source: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run's folder, an adapter or a model.")],
    to: Annotated[str, typer.Option("--to", help="gguf, merged, adapter or gguf-adapter.")] = "gguf",
    quant: Annotated[
        str, typer.Option("--quant", help="GGUF types, such as Q4_K_M,Q8_0: all are made in one go.")
    ] = "Q4_K_M",
    out: Annotated[Path | None, typer.Option("--out", help="Folder, or the .gguf file itself.")] = None,
    checkpoint: Annotated[
        int | None, typer.Option("--checkpoint", help="A checkpoint's step; else the result.")
    ] = None,
    is_checked: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare GGUF files with the tuned model.")
    ] = True,
    as_json: AsJson = False,
) -> int:
    """Write a tuned model to files that other programs run. Returns 1 when a file fails its check."""
    from studio.cli.exporting import follow_export

    arguments: dict[str, Any] = {
        "source": source,
        "to": to,
        "quant": quant,
        "out": str(out) if out else None,
        "checkpoint": checkpoint,
        "is_checked": is_checked,
    }
    files = follow_export(arguments, is_quiet=as_json)
    if as_json:
        typer.echo(json.dumps({"files": files}, indent=1))
    return 0 if all((file["report"] or {"passed": True})["passed"] for file in files) else 1


COMMAND = export
