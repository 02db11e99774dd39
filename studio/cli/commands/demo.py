"""`tunesmith demo`: the whole journey without a window, a network or a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Chosen by trying: enough steps for the voice to be learned, few enough to take about a minute on two cores.
SETTINGS = (
    "method.rank=16",
    "method.alpha=16",
    "train.learning_rate=0.001",
    "train.epochs=4",
    "train.batch_size=8",
    "train.max_length=256",
    "train.precision=fp32",
    "train.device=cpu",
    "data.holdout=20",
    "train.samples=2",
)


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The project to make; else a new tunesmith-demo here.")
    ] = Path("tunesmith-demo"),
) -> int:
    """Train the bundled model on a few hundred rows, export it, check the file and talk to it: a few minutes."""
    from studio.cli.demonstration import demonstrate
    from studio.cli.following import make_console

    return demonstrate(folder, SETTINGS, make_console())


COMMAND = demo
