"""Many points drawn on few pixels: what is kept is what would be seen. Arrays only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from studio.project.columns import Array

Indices = npt.NDArray[np.intp]


def envelope(x: Array, y: Array, columns: int) -> tuple[Array, Array]:
    """At most 2 points a pixel column: the lowest and the highest of its interval, both where it begins.

    Args:
        x: rising.
        y: of the same length; what is no number is left out.
        columns: pixels across.
    """
    is_number = np.isfinite(y)
    if not is_number.all():
        x, y = x[is_number], y[is_number]
    if len(x) <= 2 * columns:
        return x, y
    starts = _starts(x, columns)
    pairs = np.empty(2 * len(starts) + 1)
    pairs[0:-1:2], pairs[1:-1:2], pairs[-1] = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts), y[-1]
    return np.append(np.repeat(x[starts], 2), x[-1]), pairs


def peaks(x: Array, total: Array, columns: int) -> Indices:
    """Which samples of a stack to draw: at most two a pixel, of each interval the one with the highest sum.

    A mean would hide the peak, and peaks of single kinds at different moments would add up to more than there was.
    """
    if len(x) <= 2 * columns:
        return np.arange(len(x))
    starts = _starts(x, 2 * columns)
    highs = np.maximum.reduceat(total, starts)
    hits = np.flatnonzero(total == np.repeat(highs, np.diff(starts, append=len(x))))
    picked = hits[np.searchsorted(hits, starts)]
    return np.unique(np.concatenate([[0], picked, [len(x) - 1]]))


def visible(x: Array, low: float, high: float) -> slice:
    """The part of rising `x` within a range, with one point more on each side so that lines run out of the picture."""
    first, last = int(np.searchsorted(x, low)), int(np.searchsorted(x, high, side="right"))
    return slice(max(0, first - 1), last + 1)


def _starts(x: Array, columns: int) -> Indices:
    """Index of the first point of each pixel column that holds any; found by search, so it hardly costs."""
    found = np.searchsorted(x, np.linspace(x[0], x[-1], columns, endpoint=False))
    return found[np.diff(found, prepend=-1) > 0]
