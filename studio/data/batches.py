"""Rows of tokens into micro-batches: order, packing, padding. An endless, resumable, divisible sequence; numpy only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from studio.data.growing import WINDOW_ROWS
from studio.data.ordering import permutation
from studio.data.packing import pack
from studio.data.token_rows import TokenRow, TokenRows

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """One micro-batch of `rows` sequences padded to one length.

    Attributes:
        input_ids: (rows, length) int64.
        labels: (rows, length) int64, unshifted: the label at t is token t. -100 where it is not learned, and at each
            packed row's first token, which nothing predicts.
        position_ids: (rows, length) int64, from 0 for each packed row; 0 on padding.
        attention_mask: (rows, length) bool, False on padding.
        is_packed: whether a sequence may hold several rows.
        num_tokens: tokens that are no padding.
        num_trained: labels that count.
        row_numbers: places in the file of the rows in it, in order.
    """

    input_ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    position_ids: npt.NDArray[np.int64]
    attention_mask: npt.NDArray[np.bool_]
    is_packed: bool
    num_tokens: int
    num_trained: int
    row_numbers: tuple[int, ...]


class Batches:
    """Micro-batches of a split, epoch after epoch.

    The rows are taken in windows of `WINDOW_ROWS`. Inside a window they are mixed (or packed, and the packs mixed);
    windows come in file order in the first epoch, so that training can start while later ones are still being
    tokenised, and mixed from then on. Each epoch's order is a pure function of seed and epoch.
    """

    def __init__(
        self,
        rows: TokenRows,
        *,
        batch_size: int,
        max_length: int,
        packing: bool = False,
        shuffle: bool = True,
        seed: int = 0,
        pad_id: int = 0,
        window_rows: int = WINDOW_ROWS,
    ) -> None:
        """Args: batch_size: sequences a micro-batch; max_length: tokens a packed sequence holds at most."""
        self._rows = rows
        self._batch_size = batch_size
        self._max_length = max_length
        self._packing = packing
        self._shuffle = shuffle
        self._seed = seed
        self._pad_id = pad_id
        self._window_rows = window_rows
        self._sequences = lru_cache(maxsize=2)(self._make_sequences)
        self._counts: dict[int, int] = {}

    def per_epoch(self) -> int:
        """Micro-batches of one epoch, for planning a run.

        Exact for rows of one window. For more it is told from the first window alone, so that nobody waits for a
        large file to be tokenised to its end and every start gets the same number; `iterate` goes by exact counts.
        """
        expected = self._rows.expected()
        if expected <= self._window_rows:
            return self._exact_per_epoch()
        windows, rest = divmod(expected, self._window_rows)
        return windows * self._batches_in(0) + round(rest / self._window_rows * self._batches_in(0) + 0.499)

    def _exact_per_epoch(self) -> int:
        return sum(self._batches_in(window) for window in range(self._num_windows()))

    def iterate(self, start: int = 0, *, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """Micro-batches number start + rank, start + rank + world, ... without end.

        Windows before `start` are skipped without being read (when packing, they are packed to be counted).
        """
        wanted = start + rank
        first, epoch = 0, 0  # number of the first micro-batch of the window looked at
        while True:
            if epoch > 0 and wanted - first >= (whole := self._exact_per_epoch()):
                epoch += (wanted - first) // whole
                first += (wanted - first) // whole * whole
            before = first
            for window in self._window_order(epoch):
                stop = first + self._batches_in(window)
                while wanted < stop:
                    yield self._batch(epoch, window, wanted - first)
                    wanted += world
                first = stop
            assert first > before, "no rows to make batches of"
            epoch += 1

    def _num_windows(self) -> int:
        return -(-len(self._rows) // self._window_rows)

    def _window_order(self, epoch: int) -> Iterator[int]:
        if epoch > 0:
            count = self._num_windows()
            yield from permutation(count, self._seed, epoch, 1).tolist() if self._shuffle else range(count)
            return
        window = 0  # the first epoch must not ask how many there are: that waits for all of them
        while self._rows.wait_for(window * self._window_rows + 1) > window * self._window_rows:
            yield window
            window += 1

    def _bounds(self, window: int) -> tuple[int, int]:
        start = window * self._window_rows
        return start, self._rows.wait_for(start + self._window_rows)

    def _batches_in(self, window: int) -> int:
        if window not in self._counts:
            start, stop = self._bounds(window)
            sequences = len(self._sequences(window)) if self._packing else stop - start
            self._counts[window] = -(-sequences // self._batch_size)
        return self._counts[window]

    def _make_sequences(self, window: int) -> list[list[int]]:
        """The window's packs, longest first as packed; the same in every epoch."""
        start, stop = self._bounds(window)
        lengths = np.minimum(self._rows.lengths(start, stop), self._max_length)
        return [[start + row for row in group] for group in pack(lengths, self._max_length)]

    def _batch(self, epoch: int, window: int, number: int) -> Batch:
        order = self._order(epoch, window)
        places = order[number * self._batch_size : (number + 1) * self._batch_size]
        if self._packing:
            packs = self._sequences(window)
            sequences = [[self._rows.row(at) for at in packs[place]] for place in places]
        else:
            start, _ = self._bounds(window)
            sequences = [[self._rows.row(start + int(place))] for place in places]
        return collate(sequences, pad_id=self._pad_id, is_packed=self._packing, max_length=self._max_length)

    def _order(self, epoch: int, window: int) -> npt.NDArray[np.int64]:
        if self._held_order[0] != (epoch, window):
            start, stop = self._bounds(window)
            count = len(self._sequences(window)) if self._packing else stop - start
            order = permutation(count, self._seed, epoch, 2, window) if self._shuffle else np.arange(count)
            self._held_order = ((epoch, window), order)
        return self._held_order[1]

    _held_order: tuple[tuple[int, int], npt.NDArray[np.int64]] = ((-1, -1), np.zeros(0, dtype=np.int64))


def collate(
    sequences: Sequence[Sequence[TokenRow]], *, pad_id: int, is_packed: bool = False, max_length: int = 0
) -> Batch:
    """Lay rows out as one batch, each sequence's rows end to end.

    A row longer than `max_length` (0: any) loses its end.
    """
    limit = max_length or None
    lengths = [sum(len(row.ids[:limit]) for row in rows) for rows in sequences]
    shape = (len(sequences), max(lengths))
    input_ids = np.full(shape, pad_id, dtype=np.int64)
    labels = np.full(shape, IGNORED, dtype=np.int64)
    position_ids = np.zeros(shape, dtype=np.int64)
    for line, rows in enumerate(sequences):
        at = 0
        for row in rows:
            end = at + len(row.ids[:limit])
            input_ids[line, at:end] = row.ids[:limit]
            labels[line, at:end] = np.where(row.trained[:limit], row.ids[:limit], IGNORED)
            labels[line, at] = IGNORED
            position_ids[line, at:end] = np.arange(end - at)
            at = end
    return Batch(
        input_ids,
        labels,
        position_ids,
        attention_mask=np.arange(shape[1])[None, :] < np.array(lengths)[:, None],
        is_packed=is_packed,
        num_tokens=sum(lengths),
        num_trained=int(np.count_nonzero(labels != IGNORED)),
        row_numbers=tuple(row.row_number for rows in sequences for row in rows),
    )
