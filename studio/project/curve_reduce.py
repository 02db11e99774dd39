"""Many points drawn on few pixels: what is kept is what would be seen. Arrays only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from studio.project.columns import Array

Indices = npt.NDArray[np.intp]


def envelope(x: Array, y: Array, columns: int) -> tuple[Array, Array]:
    """At most 2 points a pixel column: the lowest and the highest of its interval, in the order in which they came.

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
    low, high = _arg_extremes(y, starts)
    picked = np.unique(np.concatenate([low, high, [0, len(x) - 1]]))
    return x[picked], y[picked]


def peaks(x: Array, stack: Array, columns: int) -> tuple[Array, Array]:
    """A stack (kinds, n) with at most two samples a pixel; of an interval the one with the highest sum is kept whole.

    A mean would hide the peak, and peaks of single kinds at different moments would add up to more than there was.
    """
    if len(x) <= 2 * columns:
        return x, stack
    starts = _starts(x, 2 * columns)
    _, high = _arg_extremes(stack.sum(axis=0), starts)
    picked = np.unique(np.concatenate([high, [0, len(x) - 1]]))
    return x[picked], stack[:, picked]


def visible(x: Array, low: float, high: float) -> slice:
    """The part of rising `x` within a range, with one point more on each side so that lines run out of the picture."""
    first, last = int(np.searchsorted(x, low)), int(np.searchsorted(x, high, side="right"))
    return slice(max(0, first - 1), last + 1)


def _starts(x: Array, columns: int) -> Indices:
    """Index of the first point of each pixel column that holds any."""
    span = float(x[-1] - x[0]) or 1.0
    column = ((x - x[0]) * (columns / span)).astype(np.int64)
    return np.flatnonzero(np.diff(column, prepend=-1))


def _arg_extremes(y: Array, starts: Indices) -> tuple[Indices, Indices]:
    """Index of the lowest and of the highest value from each start to the next."""
    lows, highs = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    lengths = np.diff(starts, append=len(y))
    return _first_equal(y, np.repeat(lows, lengths), starts), _first_equal(y, np.repeat(highs, lengths), starts)


def _first_equal(y: Array, wanted: Array, starts: Indices) -> Indices:
    hits = np.flatnonzero(y == wanted)
    return hits[np.searchsorted(hits, starts)]
