"""A run's curves as a table that any spreadsheet opens."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from studio.paths import atomic_path
from studio.project.curves import RunCurves

_COLUMNS = ("step", "time", "active", "loss", "learning_rate", "grad_norm", "tokens", "trained_tokens", "seconds")
_WHOLE = {"step", "tokens", "trained_tokens"}
HEADER = (*_COLUMNS, "smoothed_loss", "held_out_loss")


def write_csv(curves: RunCurves, target: Path) -> None:
    """One line a step, and one for the held-out loss before the first. Unknown values are empty.

    Raises:
        OSError: the file cannot be written.
    """
    held_out = dict(zip(curves.evals["step"], curves.evals["loss"], strict=True))
    with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        if (before := curves.before) is not None:
            writer.writerow([0, *[""] * (len(HEADER) - 2), repr(before)])
        smoothed = curves.smoothed()
        columns = [curves.steps[name] for name in _COLUMNS]
        for at, values in enumerate(zip(*columns, strict=True)):
            cells = [_cell(name, value) for name, value in zip(_COLUMNS, values, strict=True)]
            writer.writerow([*cells, _cell("", smoothed[at]), _cell("", held_out.get(values[0], math.nan))])


def _cell(name: str, value: float) -> str:
    if not math.isfinite(value):
        return ""
    return str(int(value)) if name in _WHOLE else repr(float(value))
