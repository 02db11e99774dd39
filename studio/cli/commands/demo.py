"""`tunesmith demo`: the whole journey without a window, a network or a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The project to make; else a new tunesmith-demo here.")
    ] = Path("tunesmith-demo"),
) -> int:
    """Train the bundled model on a few hundred rows, export it, check the file and talk to it: a few minutes."""
    from studio.cli.demonstration import demonstrate
    from studio.cli.following import make_console
    from studio.project.demo import SETTINGS

    return demonstrate(folder, SETTINGS, make_console())


COMMAND = demo
