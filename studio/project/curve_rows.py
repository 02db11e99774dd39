"""Curves as rows of a table of bearable length: every evaluation, and steps in between at even distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studio.project.columns import Array
from studio.project.curves import RunCurves

_MOST_STEPS = 200


def table_steps(curves: RunCurves) -> list[int]:
    """The steps that a table of a run shows."""
    steps = curves.steps["step"]
    picked = steps[np.linspace(0, len(steps) - 1, min(len(steps), _MOST_STEPS)).astype(int)] if len(steps) else steps
    return sorted({int(step) for step in np.concatenate([picked, curves.evals["step"]])})


def value_at(x: Array, y: Array, at: float) -> float | None:
    """`y` where rising `x` is exactly `at`."""
    index = int(np.searchsorted(x, at))
    return float(y[index]) if index < len(x) and x[index] == at else None


def merged_x(curves: Sequence[Array]) -> list[float]:
    """All x of several curves, once each, thinned to a bearable number."""
    everything = np.unique(np.concatenate([*curves, np.empty(0)]))
    if len(everything) > _MOST_STEPS:
        everything = everything[np.linspace(0, len(everything) - 1, _MOST_STEPS).astype(int)]
    return [float(x) for x in everything]


def last_before(x: Array, y: Array, at: float) -> float | None:
    """`y` at the last point up to `at`; None before the first and after the last."""
    index = int(np.searchsorted(x, at, side="right")) - 1
    return float(y[index]) if index >= 0 and at <= x[-1] else None
