"""Columns of numbers that grow by rows: cheap to append to, to cut back, and to look at as arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_FIRST_ROWS = 256


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

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, name: str) -> Array:
        """(rows,) a view that holds until the next append."""
        return self._values[self._at[name], : self._count]

    def last(self, name: str, default: float = float("nan")) -> float:
        """The newest value of a column."""
        return float(self[name][-1]) if self._count else default

    def append(self, *values: float) -> None:
        """Add one row."""
        if self._count == self._values.shape[1]:
            self._values = np.concatenate([self._values, np.empty_like(self._values)], axis=1)
        self._values[:, self._count] = values
        self._count += 1

    def keep(self, count: int) -> None:
        """Forget all rows after the first `count`."""
        self._count = min(self._count, max(0, count))
