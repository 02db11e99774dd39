"""`tunesmith demo`: the whole journey without a window, a network or a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Chosen by trying. A model this small has few weights to spare: low-rank adapters learn the voice as well, and lose
# twice as much of what it knew (35 % right with rank 64, 66 % with all weights trained; 88 % before).
SETTINGS = (
    "method.key=full",
    "train.learning_rate=0.001",
    "train.epochs=5",
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
