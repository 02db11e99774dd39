"""Updates a unit whose gradient is complete: record after record read ahead, one step of the scheme, written behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from studio.engine.stream.buffers import Buffer
from studio.engine.stream.schemes import Hyper, Scheme, Segment, Tile
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
        for first, end in self._tiles(at)[:number] if self._store.layout.parts else []:
            if (at, first) not in self._ahead:
                self._ahead[at, first] = self._store.read_record(at, first, end)

    def learn(
        self,
        at: int,
        weights: Buffer,
        gradient: Gradient,
        groups: dict[str, Group],
        *,
        scale: float,
        keep: Callable[[int, torch.Tensor], None] | None = None,
    ) -> None:
        """One step of a unit; it is on its way to the drive when this returns.

        Args:
            weights: all of the unit's, as read; written and given back.
            gradient: of the unit's matrices.
            groups: of each matrix.
            scale: what gradients are multiplied with (clipping).
            keep: given the new numbers of each tile in fp32, where somebody holds them in memory.
        """
        tiles = self._tiles(at)
        for number, (first, end) in enumerate(tiles):
            record = self._take(at, first, end)
            for later in tiles[number + 1 : number + 1 + _AHEAD]:
                if (at, later[0]) not in self._ahead:
                    self._ahead[at, later[0]] = self._store.read_record(at, *later)
            self._step(at, first, end, weights, record, gradient, groups, scale, keep)
            if record is not None:
                self._store.write_record(at, first, record)
        self._store.write_weights(at, weights)

    def _step(
        self,
        at: int,
        first: int,
        end: int,
        weights: Buffer,
        record: Buffer | None,
        gradient: Gradient,
        groups: dict[str, Group],
        scale: float,
        keep: Callable[[int, torch.Tensor], None] | None,
    ) -> None:
        bits = weights.view(torch.int16)[first:end]
        parts = self._store.record(record, end - first) if record is not None else {}
        here = bits.to(self._device, non_blocking=True)
        there = {name: part.to(self._device, non_blocking=True) for name, part in parts.items()}
        segments = self._segments(at, first, end, gradient, groups, scale)
        hyper = next(iter(groups.values())).hyper
        salt = hyper.step * 7919 + at * 31 + first
        self._scheme.learn(Tile(here, there, segments, hyper, lambda turn: self._draw(salt + turn, len(here))))
        if here is not bits:
            bits.copy_(here)
            for name, part in parts.items():
                part.copy_(there[name])
        if keep:
            keep(first, self._scheme.master(here, there))

    def _segments(
        self, at: int, first: int, end: int, gradient: Gradient, groups: dict[str, Group], scale: float
    ) -> list[Segment]:
        found = []
        for tensor in self._store.layout.units[at].tensors:
            start, stop = max(first, tensor.start), min(end, tensor.end)
            if start < stop:
                found.append(
                    Segment(
                        first=start - first,
                        end=stop - first,
                        decay=groups[tensor.name].decay,
                        gradient=self._scaled(gradient, tensor, start - tensor.start, stop - tensor.start, scale),
                        shape=tensor.shape,
                        name=tensor.name,
                    )
                )
        return found

    def _scaled(
        self, gradient: Gradient, tensor: StoredTensor, first: int, end: int, scale: float
    ) -> Callable[[], torch.Tensor]:
        """In fp32, a copy where it is changed."""

        def compute() -> torch.Tensor:
            part = gradient(tensor, first, end).to(self._device)
            return part.float() if scale == 1.0 else part.to(torch.float32, copy=True).mul_(scale)

        return compute

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
