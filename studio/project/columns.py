"""Columns of numbers that grow by rows: cheap to append to, to cut back, and to look at as arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_FIRST_ROWS = 256
_MOST_WAITING = 1024


class Columns:
    """Named float columns of equal length. Appending doubles the room when it is full, so it costs nothing on average.

    Args:
        names: of the columns; rows are given in this order.
    """

    def __init__(self, *names: str) -> None:
        self.names = names
        self._at = {name: index for index, name in enumerate(names)}
        self._values: Array = np.empty((len(names), _FIRST_ROWS))
        self._count = 0
        # Written into the array many at once, which is ten times faster, and never so many that who looks must wait.
        self._new: list[tuple[float, ...]] = []

    def __len__(self) -> int:
        return self._count + len(self._new)

    def __getitem__(self, name: str) -> Array:
        """(rows,) a view that holds until the next append."""
        self._settle()
        return self._values[self._at[name], : self._count]

    def last(self, name: str, default: float = float("nan")) -> float:
        """The newest value of a column."""
        if self._new:
            return float(self._new[-1][self._at[name]])
        return float(self._values[self._at[name], self._count - 1]) if self._count else default

    def append(self, *values: float) -> None:
        """Add one row."""
        assert len(values) == len(self.names)
        self._new.append(values)
        if len(self._new) == _MOST_WAITING:
            self._settle()

    def keep(self, count: int) -> None:
        """Forget all rows after the first `count`."""
        self._settle()
        self._count = min(self._count, max(0, count))

    def _settle(self) -> None:
        if not self._new:
            return
        needed, room = len(self), self._values.shape[1]
        if needed > room:
            more = np.empty((len(self.names), max(needed, 2 * room) - room))
            self._values = np.concatenate([self._values, more], axis=1)
        self._values[:, self._count : needed] = np.array(self._new, dtype=np.float64).T
        self._count, self._new = needed, []
