"""Updates a unit whose gradient is complete: record after record read ahead, one step of the scheme, written behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod

import torch

from studio.engine.stream.buffers import Buffer
from studio.engine.stream.schemes import CACHED, Hyper, Scheme, Segment, Tile
from studio.engine.stream.store import Store
from studio.engine.stream.traffic import Reading
from studio.models.store_layout import StoredTensor

_AHEAD = 2
"""Records read ahead: one is computed on, one is ready, one is on its way."""
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
    """

    def __init__(self, store: Store, scheme: Scheme, *, device: torch.device, seed: int) -> None:
        self._store, self._scheme, self._device = store, scheme, device
        draw = torch.Generator().manual_seed(seed)
        self._noise = torch.randint(0, 1 << 16, (_NOISE,), dtype=torch.int32, generator=draw).to(device)
        self._ahead: dict[tuple[int, int], Reading] = {}

    def prefetch(self, at: int, *, number: int = _AHEAD) -> None:
        """Begin to read the first records of a unit."""
        for tile in self._tiles(at)[:number] if self._store.layout.parts else []:
            self._read_ahead(at, tile)

    def learn(self, lesson: Lesson) -> None:
        """One step of a unit; it is on its way to the drive when this returns."""
        at, tiles = lesson.at, self._tiles(lesson.at)
        for number, (first, end) in enumerate(tiles):
            record = self._take(at, first, end)
            for later in tiles[number + 1 : number + 1 + _AHEAD]:
                self._read_ahead(at, later)
            self._learn_tile(lesson, lesson.weights.view(torch.int16)[first:end], first, end, record)
            if record is not None:
                self._store.write_record(at, first, record)
        self._store.write_weights(at, lesson.weights)

    def learn_tile(self, lesson: Lesson, first: int, end: int) -> None:
        """One step of one tile of a unit whose weights come tile by tile; the caller finishes the unit."""
        record = self._take(lesson.at, first, end)
        later = [tile for tile in self._tiles(lesson.at) if tile[0] >= end][:_AHEAD]
        for tile in later if self._store.layout.parts else []:
            self._read_ahead(lesson.at, tile)
        self._learn_tile(lesson, lesson.weights.view(torch.int16), first, end, record)
        if record is not None:
            self._store.write_record(lesson.at, first, record)
        self._store.write_span(lesson.at, first, lesson.weights)

    def _learn_tile(self, lesson: Lesson, bits: torch.Tensor, first: int, end: int, record: Buffer | None) -> None:
        """On the device as a whole; on the processor in pieces that stay in its cache."""
        begun = time.perf_counter()
        parts = self._store.record(record, end - first) if record is not None else {}
        here = bits.to(self._device, non_blocking=True)
        there = {name: part.to(self._device, non_blocking=True) for name, part in parts.items()}
        piece = CACHED if self._device.type == "cpu" and parts else end - first
        for start in range(0, end - first, piece):
            stop = min(end - first, start + piece)
            own = {
                part.name: there[part.name][start // part.every : stop // part.every]
                for part in self._store.layout.parts
            }
            self._step(lesson, first + start, here[start:stop], own)
        if here is not bits:
            bits.copy_(here)
            for name, part in parts.items():
                part.copy_(there[name])
        self._store.traffic.watch("update", begun, end - first)

    def _step(self, lesson: Lesson, first: int, weights: torch.Tensor, record: dict[str, torch.Tensor]) -> None:
        segments = list(self._segments(lesson, first, first + len(weights)))
        hyper = lesson.groups[self._store.layout.units[lesson.at].tensors[0].name].hyper
        salt = hyper.step * 7919 + lesson.at * 31 + first
        self._scheme.learn(Tile(weights, record, segments, hyper, lambda turn, count: self._draw(salt + turn, count)))
        if lesson.keep:
            lesson.keep(first, self._scheme.master(weights, record))

    def _segments(self, lesson: Lesson, first: int, end: int) -> Iterator[Segment]:
        for tensor in self._store.layout.units[lesson.at].tensors:
            start, stop = max(first, tensor.start), min(end, tensor.end)
            if start < stop:
                yield Segment(
                    first=start - first,
                    end=stop - first,
                    decay=lesson.groups[tensor.name].decay,
                    gradient=self._scaled(lesson, tensor, start - tensor.start),
                    shape=((stop - start) // prod(tensor.shape[1:]), *tensor.shape[1:]),
                    name=tensor.name if not lesson.is_tiled else f"{tensor.name} {start}",
                )

    def _scaled(self, lesson: Lesson, tensor: StoredTensor, begin: int) -> Callable[[int, int], torch.Tensor]:
        """In fp32, a copy where it is changed. Counted from `begin` of the matrix."""

        def compute(first: int, end: int) -> torch.Tensor:
            part = lesson.gradient(tensor, begin + first, begin + end).to(self._device)
            if lesson.scale == 1.0 and part.dtype == torch.float32:
                return part
            copy = self._scheme.scratch.take("gradient", part).copy_(part)
            return copy if lesson.scale == 1.0 else copy.mul_(lesson.scale)

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

    def _draw(self, salt: int, count: int) -> torch.Tensor:
        """So much noise, from another place for each salt; repeated where it is not enough."""
        start = salt * _PRIME % _NOISE
        pieces, left = [self._noise[start : start + count]], count - min(count, _NOISE - start)
        while left > 0:
            pieces.append(self._noise[: min(left, _NOISE)])
            left -= min(left, _NOISE)
        return torch.cat(pieces) if len(pieces) > 1 else pieces[0]


def at_rate(group: Group, step: int, rate: float) -> Group:
    """The group at another step."""
    return replace(group, hyper=replace(group.hyper, step=step, rate=rate))
