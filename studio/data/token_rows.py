"""The rows of one split, by index, as a training loop wants them; rows still to be tokenised are waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from studio.data.growing import TrainingData


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One row: (length,) int32 ids, (length,) bool trained, and its number in the file."""

    ids: npt.NDArray[np.int32]
    trained: npt.NDArray[np.bool_]
    row_number: int


class TokenRows(Protocol):
    """Rows in file order."""

    def __len__(self) -> int:
        """How many there are; waits until that is certain."""
        ...

    def expected(self) -> int:
        """How many there will be, from what is known before a run starts: exact for a file of one window."""
        ...

    def available(self) -> int:
        """How many can be had without waiting."""
        ...

    def wait_for(self, count: int) -> int:
        """Wait until there are `count` rows or all; returns how many of the `count` there are."""
        ...

    def row(self, at: int) -> TokenRow:
        """The row at index `at`, waited for when it is not tokenised yet."""
        ...

    def lengths(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """(stop - start,) tokens of rows `start:stop`, which must be there."""
        ...


class StoredRows:
    """A split of the rows of a store."""

    def __init__(self, data: TrainingData, *, heldout: bool) -> None:
        self._data = data
        self._heldout = heldout
        self._places: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._looked_at = 0

    def __len__(self) -> int:
        self._data.wait(lambda: False)
        return self.available()

    def expected(self) -> int:
        return self._data.expected(self)

    def available(self) -> int:
        self._data.store.refresh()
        return self._take_in()

    def wait_for(self, count: int) -> int:
        if self._take_in() < count:
            self._data.wait(lambda: self._take_in() >= count)
        return min(count, self._take_in())

    def row(self, at: int) -> TokenRow:
        if at >= len(self._places) and self.wait_for(at + 1) <= at:
            raise IndexError(at)
        ids, trained, number = self._data.store.row(int(self._places[at]))
        return TokenRow(ids, trained, number)

    def lengths(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        assert stop <= len(self._places)
        return self._data.store.records["length"][self._places[start:stop]].astype(np.int64)

    def count_before(self, ordinal: int) -> int:
        """How many of the rows at hand come before row `ordinal` of the file."""
        return int(np.searchsorted(self._data.store.records["ordinal"][self._places], ordinal))

    def _take_in(self) -> int:
        records = self._data.store.records
        if len(records) > self._looked_at:
            new = records["ordinal"][self._looked_at :]
            wanted = np.flatnonzero(self._data.heldout_mask()[new] == self._heldout) + self._looked_at
            self._places = np.concatenate([self._places, wanted])
            self._looked_at = len(records)
        return len(self._places)


class HeldRows:
    """Rows kept in memory: the held-out ones of a file whose store is still growing."""

    def __init__(self, rows: Sequence[TokenRow]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def expected(self) -> int:
        return len(self._rows)

    def available(self) -> int:
        return len(self._rows)

    def wait_for(self, count: int) -> int:
        return min(count, len(self._rows))

    def row(self, at: int) -> TokenRow:
        return self._rows[at]

    def lengths(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        return np.array([len(row.ids) for row in self._rows[start:stop]], dtype=np.int64)
