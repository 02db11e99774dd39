"""Updates a unit whose gradient is complete: record after record read ahead, one step of the scheme, written behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod

import torch

from studio.engine.stream.adamw import Hyper
from studio.engine.stream.buffers import Buffer
from studio.engine.stream.schemes import CACHED, Scheme, Segment, Tile
from studio.engine.stream.store import Store
from studio.engine.stream.traffic import Reading
from studio.methods._streamed import RECORDS_AHEAD
from studio.models.store_layout import StoredTensor

_NOISE = 1 << 20
_PRIME = 104_729

Gradient = Callable[[StoredTensor, int, int], torch.Tensor]
"""(matrix, first, end) -> that part of its gradient, flat, on the device, in any dtype."""


@dataclass(frozen=True)
class Group:
    """What the optimizer's groups say of one matrix."""

    decay: float
    hyper: Hyper


@dataclass(frozen=True)
class Lesson:
    """A unit and what it is to learn.

    Attributes:
        weights: all of the unit's, as read; they are changed, written and given back.
        gradient: of the unit's matrices.
        groups: of each matrix.
        scale: what gradients are multiplied with (clipping).
        is_tiled: whether `weights` are only those of one tile.
        keep: given new numbers in fp32 with the place where they begin, where somebody holds them in memory.
    """

    at: int
    weights: Buffer
    gradient: Gradient
    groups: dict[str, Group]
    scale: float
    keep: Callable[[int, torch.Tensor], None] | None = None
    is_tiled: bool = False


class Learner:
    """Steps units of a store.

    Args:
        device: where the step is computed.
        seed: of the noise that rounding at random uses; the same step draws the same again.

    Attributes:
        learned: units that have begun to learn since somebody emptied it.
    """

    def __init__(self, store: Store, scheme: Scheme, *, device: torch.device, seed: int) -> None:
        self._store, self._scheme, self._device, self._seed = store, scheme, device, seed
        self._ahead: dict[tuple[int, int], Reading] = {}
        self.learned: set[int] = set()

    def prefetch(self, at: int, *, number: int = RECORDS_AHEAD) -> None:
        """Begin to read the first records of a unit."""
        for tile in self._tiles(at)[:number] if self._store.layout.parts else []:
            self._read_ahead(at, tile)

    def learn(self, lesson: Lesson) -> None:
        """One step of a unit; it is on its way to the drive when this returns."""
        at, tiles = lesson.at, self._tiles(lesson.at)
        self.learned.add(at)
        for number, (first, end) in enumerate(tiles):
            record = self._take(at, first, end)
            for later in tiles[number + 1 : number + 1 + RECORDS_AHEAD]:
                self._read_ahead(at, later)
            self._learn_tile(lesson, lesson.weights.view(torch.int16)[first:end], first, end, record)
            if record is not None:
                self._store.write_record(at, first, record)
        self._store.write_weights(at, lesson.weights)

    def learn_tile(self, lesson: Lesson, first: int, end: int) -> None:
        """One step of one tile of a unit whose weights come tile by tile; the caller finishes the unit."""
        self.learned.add(lesson.at)
        record = self._take(lesson.at, first, end)
        later = [tile for tile in self._tiles(lesson.at) if tile[0] >= end][:RECORDS_AHEAD]
        for tile in later if self._store.layout.parts else []:
            self._read_ahead(lesson.at, tile)
        self._learn_tile(lesson, lesson.weights.view(torch.int16), first, end, record)
        if record is not None:
            self._store.write_record(lesson.at, first, record)
        self._store.write_span(lesson.at, first, lesson.weights)

    def take_back(self) -> None:
        """A step failed half way: nothing stays of what was read ahead."""
        for reading in self._ahead.values():
            if not reading.is_kept:
                self._store.pool.give(self._store.wait(reading))
        self._ahead.clear()

    def _learn_tile(self, lesson: Lesson, bits: torch.Tensor, first: int, end: int, record: Buffer | None) -> None:
        """On the device as a whole; torch on the processor in pieces that stay in its cache."""
        begun = time.perf_counter()
        parts = self._store.record(record, end - first) if record is not None else {}
        here = bits.to(self._device, non_blocking=True)
        there = {name: part.to(self._device, non_blocking=True) for name, part in parts.items()}
        for start, stop in _pieces(end - first, self._scheme.piece(self._device)):
            self._step(lesson, first + start, here[start:stop], self._part_of(there, start, stop))
        if lesson.keep:
            for start, stop in _pieces(end - first, CACHED):
                lesson.keep(first + start, self._scheme.master(here[start:stop], self._part_of(there, start, stop)))
        if here is not bits:
            bits.copy_(here)
            for name, part in parts.items():
                part.copy_(there[name])
        self._store.traffic.watch("update", begun, end - first)

    def _step(self, lesson: Lesson, first: int, weights: torch.Tensor, record: dict[str, torch.Tensor]) -> None:
        segments = list(self._segments(lesson, first, first + len(weights)))
        hyper = lesson.groups[self._store.layout.units[lesson.at].tensors[0].name].hyper
        salt = hyper.step * 7919 + lesson.at * 31 + first
        draw = partial(self._draw, salt)
        self._scheme.learn(Tile(weights, record, segments, hyper, self._seed + salt * _PRIME, draw))

    def _part_of(self, record: dict[str, torch.Tensor], start: int, stop: int) -> dict[str, torch.Tensor]:
        """Of a tile's record, what belongs to these weights."""
        parts = self._store.layout.parts
        return {part.name: record[part.name][start // part.every : stop // part.every] for part in parts}

    def _segments(self, lesson: Lesson, first: int, end: int) -> Iterator[Segment]:
        for tensor in self._store.layout.units[lesson.at].tensors:
            start, stop = max(first, tensor.start), min(end, tensor.end)
            if start < stop:
                yield Segment(
                    first=start - first,
                    end=stop - first,
                    decay=lesson.groups[tensor.name].decay,
                    gradient=self._gradient(lesson, tensor, start - tensor.start),
                    scale=lesson.scale,
                    shape=((stop - start) // prod(tensor.shape[1:]), *tensor.shape[1:]),
                    name=tensor.name if not lesson.is_tiled else f"{tensor.name} {start}",
                )

    def _gradient(self, lesson: Lesson, tensor: StoredTensor, begin: int) -> Callable[[int, int], torch.Tensor]:
        """Counted from `begin` of the matrix."""

        def compute(first: int, end: int) -> torch.Tensor:
            return lesson.gradient(tensor, begin + first, begin + end).to(self._device)

        return compute

    def _read_ahead(self, at: int, tile: tuple[int, int]) -> None:
        if (at, tile[0]) not in self._ahead:
            self._ahead[at, tile[0]] = self._store.read_record(at, *tile)

    def _take(self, at: int, first: int, end: int) -> Buffer | None:
        if not self._store.layout.parts:
            return None
        reading = self._ahead.pop((at, first), None) or self._store.read_record(at, first, end)
        return self._store.wait(reading)

    def _tiles(self, at: int) -> list[tuple[int, int]]:
        return self._store.layout.tiles(self._store.layout.units[at])

    @cached_property
    def _noise(self) -> torch.Tensor:
        draw = torch.Generator().manual_seed(self._seed)
        return torch.randint(0, 1 << 16, (_NOISE,), dtype=torch.int32, generator=draw).to(self._device)

    def _draw(self, salt: int, turn: int, count: int) -> torch.Tensor:
        """So much noise, from another place for each salt and turn; repeated where it is not enough."""
        start = (salt + turn) * _PRIME % _NOISE
        pieces, left = [self._noise[start : start + count]], count - min(count, _NOISE - start)
        while left > 0:
            pieces.append(self._noise[: min(left, _NOISE)])
            left -= min(left, _NOISE)
        return torch.cat(pieces) if len(pieces) > 1 else pieces[0]


def _pieces(numbers: int, piece: int | None) -> Iterator[tuple[int, int]]:
    for start in range(0, numbers, piece or numbers):
        yield start, min(numbers, start + (piece or numbers))


def at_rate(group: Group, step: int, rate: float) -> Group:
    """The group at another step."""
    return replace(group, hyper=replace(group.hyper, step=step, rate=rate))
