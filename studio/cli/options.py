"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project's folder.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a setting, such as train.steps=20. May be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Detach = Annotated[bool, typer.Option("--detach", help="Return at once; the run goes on in the background.")]
Processes = Annotated[int, typer.Option("--processes", min=1, help="Processes of this machine that share the work.")]
