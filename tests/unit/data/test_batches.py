"""Micro-batches: each row once an epoch, resumable at any number, divisible among processes, packed without mixing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data.batches import IGNORED, Batch, Batches, collate
from studio.data.ordering import chosen, permutation
from studio.data.packing import pack
from studio.data.token_rows import TokenRow


class Rows:
    """Rows held in memory, with the face of `TokenRows`; row number n has length lengths[n - 1], ids all n."""

    def __init__(self, lengths: list[int]) -> None:
        self._lengths = lengths
        self.asked = 0

    def __len__(self) -> int:
        self.asked = len(self._lengths)
        return len(self._lengths)

    def expected(self) -> int:
        return len(self._lengths)

    def wait_for(self, count: int) -> int:
        self.asked = max(self.asked, min(count, len(self._lengths)))
        return min(count, len(self._lengths))

    def lengths(self, start: int, stop: int) -> np.ndarray:
        return np.array(self._lengths[start:stop], dtype=np.int64)

    def row(self, at: int) -> TokenRow:
        length = self._lengths[at]
        return TokenRow(np.full(length, at + 1, np.int32), np.arange(length) % 3 != 1, at + 1)


def batches(lengths: list[int], **settings: object) -> Batches:
    defaults = {"batch_size": 3, "max_length": 16, "window_rows": 8, "seed": 1}
    return Batches(Rows(lengths), **{**defaults, **settings})  # type: ignore[arg-type]


def take(made: Batches, count: int, start: int = 0, **where: int) -> list[tuple[int, ...]]:
    return [batch.row_numbers for batch in itertools.islice(made.iterate(start, **where), count)]


LENGTHS = [1 + (7 * at) % 15 for at in range(29)]


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_each_row_once_an_epoch(packing: bool, shuffle: bool) -> None:
    made = batches(LENGTHS, packing=packing, shuffle=shuffle)
    count = made._exact_per_epoch()
    assert abs(made.per_epoch() - count) <= (2 if packing else 0)
    epochs = [take(made, count, epoch * count) for epoch in range(3)]
    for epoch in epochs:
        assert sorted(number for batch in epoch for number in batch) == list(range(1, 30))
    assert (epochs[0] == epochs[1]) == (not shuffle)


@pytest.mark.parametrize("packing", [False, True])
def test_goes_on_anywhere_and_divides_exactly(packing: bool) -> None:
    straight = take(batches(LENGTHS, packing=packing), 60)
    for start in (0, 1, 5, 17, 41):
        assert take(batches(LENGTHS, packing=packing), 5, start) == straight[start : start + 5]
    for rank in range(3):
        divided = take(batches(LENGTHS, packing=packing), 15, 6, rank=rank, world=3)
        assert divided == straight[6 + rank :: 3][:15]


def test_the_first_window_is_enough_to_start() -> None:
    rows = Rows(LENGTHS)
    made = Batches(rows, batch_size=2, max_length=16, window_rows=8)  # type: ignore[arg-type]
    next(made.iterate())
    assert rows.asked <= 9


def test_labels_positions_and_mask_of_a_packed_batch() -> None:
    rows = Rows([3, 2, 4])
    batch = collate([[rows.row(0), rows.row(1)], [rows.row(2)]], pad_id=9, is_packed=True)
    assert batch.input_ids.tolist() == [[1, 1, 1, 2, 2], [3, 3, 3, 3, 9]]
    assert batch.labels.tolist() == [
        [IGNORED, IGNORED, 1, IGNORED, IGNORED],
        [IGNORED, IGNORED, 3, 3, IGNORED],
    ]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 0]]
    assert batch.attention_mask.tolist() == [[True] * 5, [True] * 4 + [False]]
    assert (batch.num_tokens, batch.num_trained, batch.row_numbers) == (9, 3, (1, 2, 3))


@given(lengths=st.lists(st.integers(1, 64), max_size=200), capacity=st.integers(64, 128))
@settings(max_examples=100, deadline=None)
def test_packs_hold_every_row_once_within_capacity_and_no_worse_than_first_fit(
    lengths: list[int], capacity: int
) -> None:
    groups = pack(np.array(lengths, dtype=np.int64), capacity)
    assert sorted(itertools.chain(*groups)) == list(range(len(lengths)))
    assert all(sum(lengths[row] for row in group) <= capacity for group in groups)
    assert len(groups) <= first_fit_decreasing(lengths, capacity) * 1.02 + 1


def first_fit_decreasing(lengths: list[int], capacity: int) -> int:
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        at = next((at for at, room in enumerate(rooms) if room >= length), len(rooms))
        if at == len(rooms):
            rooms.append(capacity)
        rooms[at] -= length
    return len(rooms)


def test_packing_a_realistic_window_is_dense_and_quick() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(5, 0.8, 65_536), 8, 2048).astype(np.int64)
    groups = pack(lengths, 2048)
    assert lengths.sum() / (len(groups) * 2048) > 0.995


def test_orders_never_change() -> None:
    """Runs in progress rest on these: another value here means that no run can be resumed exactly."""
    assert permutation(8, 1, 2).tolist() == [0, 4, 7, 5, 1, 3, 2, 6]
    assert np.flatnonzero(chosen(20, 4, 7)).tolist() == [4, 7, 14, 19]


def test_a_batch_is_padded_to_its_longest_row() -> None:
    made = batches([5, 2, 9], batch_size=3, shuffle=False)
    batch: Batch = next(made.iterate())
    assert batch.input_ids.shape == (3, 9) and batch.num_tokens == 16 and not batch.is_packed
