"""How a trained number is kept between steps: its 16-bit weight, what is missing to fp32, and Adam's two memories.

Weight and residual are one fp32 number cut in two: `bits(p) = (bits(w) << 16) + r` with r a signed 16-bit number. So
w is p rounded to bf16 (halves away from zero, the one rounding that leaves r in 16 bits) and p comes back exactly.
Letters are those of PERFORMANCE.md section 1.3. What is rounded to 8 or 16 bits and changes by less than half a unit
a step (second memory, short masters) is rounded at random, or it would never change at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from math import prod

import torch

from studio.engine.stream import fused_update
from studio.engine.stream.adamw import Hyper, adamw
from studio.models.store_layout import TILE, Part

BLOCK = 256
"""Numbers that share a scale in 8-bit state."""
CACHED = 1 << 17
"""Numbers that a processor works on at once: thirty passes stay in its cache, and calls cost little beside them."""
_HALF = 1 << 15
_LEAST = 1e-33
"""A block whose largest number is smaller counts as one of zeros."""
_NOT_ZERO = 1e-37
"""Has 1 / sqrt in fp32."""
_MOST = 256 - 2**-16
"""The largest number below 256 in fp32."""


@dataclass(frozen=True)
class Segment:
    """A run of numbers of one tensor inside a tile, `first` to `end` counted from the tile's beginning.

    Attributes:
        gradient: (first, end) of the run -> that part, flat, in any dtype; `scale` multiplies it.
    """

    first: int
    end: int
    decay: float
    gradient: Callable[[int, int], torch.Tensor]
    scale: float
    shape: tuple[int, ...]
    name: str


@dataclass
class Tile:
    """What is updated at once.

    Attributes:
        weights: (numbers,) int16, the bf16 weights' bits; changed in place.
        record: the parts of the tile's record by name; changed in place.
        seed: of rounding at random.
        noise: (turn, count) -> (count,) int32 in [0, 65536), for rounding at random; each turn's is another.
    """

    weights: torch.Tensor
    record: dict[str, torch.Tensor]
    segments: list[Segment]
    hyper: Hyper
    seed: int
    noise: Callable[[int, int], torch.Tensor] = field(repr=False)


class Scratch:
    """fp32 memory that one piece after the other is computed in: fresh memory costs more than the arithmetic."""

    def __init__(self) -> None:
        self._held: dict[str, torch.Tensor] = {}

    def take(self, name: str, like: torch.Tensor) -> torch.Tensor:
        """As many numbers as `like` has, where it is; what was taken under this name before is overwritten."""
        count = like.numel()
        held = self._held.get(name)
        if held is None or held.numel() < count or held.device != like.device:
            held = self._held[name] = torch.empty(count, dtype=torch.float32, device=like.device)
        return held if held.numel() == count else held[:count]


class Scheme:
    """C: exact. Master and both memories are fp32; the master is split in two."""

    key = "C"
    tile = TILE
    parts: tuple[Part, ...] = (Part("r", "int16", 2), Part("m", "float32", 4), Part("v", "float32", 4))

    def __init__(self) -> None:
        self.scratch = Scratch()

    def piece(self, device: torch.device) -> int | None:
        """Numbers to learn at once, None for all that are there."""
        return None if device.type != "cpu" or fused_update.offers(self.key, device) else CACHED

    def learn(self, tile: Tile) -> None:
        """One AdamW step on a tile."""
        if fused_update.offers(self.key, tile.weights.device):
            self._learn_compiled(tile)
            return
        master = self.master(tile.weights, tile.record, self.scratch.take("master", tile.weights))
        first, second = self.first(tile.record), self.second(tile.record)
        for segment in tile.segments:
            part = slice(segment.first, segment.end)
            gradient = self.gradient(segment, 0, segment.end - segment.first)
            adamw(master[part], gradient, first[part], second[part], segment.decay, tile.hyper)
        self.keep(tile, master, first, second)

    def _learn_compiled(self, tile: Tile) -> None:
        for segment in tile.segments:
            fused_update.learn(
                self.key,
                tile.weights[segment.first : segment.end],
                {part.name: tile.record[part.name][segment.first // part.every :] for part in self.parts},
                segment.gradient(0, segment.end - segment.first),
                scale=segment.scale,
                decay=segment.decay,
                hyper=tile.hyper,
                seed=tile.seed + segment.first,
            )

    def gradient(self, segment: Segment, first: int, end: int) -> torch.Tensor:
        """That part in fp32, a copy where it is changed; to be used up before the next is asked for."""
        part = segment.gradient(first, end)
        if segment.scale == 1.0 and part.dtype == torch.float32:
            return part
        copy = self.scratch.take("gradient", part).copy_(part)
        return copy if segment.scale == 1.0 else copy.mul_(segment.scale)

    def master(
        self, weights: torch.Tensor, record: dict[str, torch.Tensor], out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The fp32 numbers, in `out` or in memory of their own."""
        return widened(weights, out, record["r"])

    def first(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        """Adam's memory of the direction in fp32."""
        return record["m"]

    def second(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        """Adam's memory of the size in fp32."""
        return record["v"]

    def keep(self, tile: Tile, master: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        """Write back what a step changed. All three are used up."""
        self.split(master, tile.weights, tile.record, None)

    def split(
        self,
        master: torch.Tensor,
        weights: torch.Tensor,
        record: dict[str, torch.Tensor],
        noise: torch.Tensor | None,
    ) -> None:
        """fp32 into weight and residual."""
        bits = master.view(torch.int32)
        record["r"].copy_(bits)  # the lower half, with its sign: torch cuts integers short
        weights.copy_(bits.add_(_HALF).bitwise_right_shift_(16))


class SchemeD(Scheme):
    """Exact master, both memories in bf16."""

    key = "D"
    parts = (Part("r", "int16", 2), Part("m", "bfloat16", 2), Part("v", "int16", 2))

    def first(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.scratch.take("first", record["m"]).copy_(record["m"])

    def second(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        return widened(record["v"], self.scratch.take("second", record["v"]))

    def keep(self, tile: Tile, master: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        tile.record["m"].copy_(first)
        tile.record["v"].copy_(second.view(torch.int32).add_(tile.noise(1, len(second))).bitwise_right_shift_(16))
        self.split(master, tile.weights, tile.record, None)


class SchemeE(Scheme):
    """Exact master, both memories in 8 bits by blocks.

    The first memory keeps square roots with their sign, the second fourth roots: both then hold some decades below a
    block's largest number. In a block that holds any, no second memory is zero, or its weight would leap.
    """

    key = "E"
    parts = (
        Part("r", "int16", 2),
        Part("m", "int8", 1),
        Part("v", "uint8", 1),
        Part("ms", "float32", 4, BLOCK),
        Part("vs", "float32", 4, BLOCK),
    )

    def first(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        root = self.scratch.take("first", record["m"]).copy_(record["m"]).view(-1, BLOCK)
        size = torch.abs(root, out=self.scratch.take("room", record["m"]).view(-1, BLOCK))
        return root.mul_(size).mul_((record["ms"] * 127**-2)[:, None]).view(-1)

    def second(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        root = self.scratch.take("second", record["v"]).copy_(record["v"]).view(-1, BLOCK)
        return root.square_().square_().mul_((record["vs"] * 255**-4)[:, None]).view(-1)

    def keep(self, tile: Tile, master: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        room = self.scratch.take("room", first)
        self._keep_first(first, room, tile.record)
        self._keep_second(second, room, tile.record, tile.noise(1, len(second)))
        self._keep_master(tile, master)

    def _keep_master(self, tile: Tile, master: torch.Tensor) -> None:
        self.split(master, tile.weights, tile.record, None)

    def _keep_first(self, first: torch.Tensor, room: torch.Tensor, record: dict[str, torch.Tensor]) -> None:
        size = torch.abs(first, out=room).view(-1, BLOCK)
        torch.amax(size, 1, out=record["ms"])
        # A root with its sign by way of 1 / sqrt: half of sqrt's time, and no sign to copy.
        root = first.mul_(room.clamp_min_(_NOT_ZERO).rsqrt_()).view(-1, BLOCK)
        record["m"].copy_(root.mul_((record["ms"].clamp_min(_LEAST).rsqrt_() * 127)[:, None]).round_().view(-1))

    def _keep_second(
        self, second: torch.Tensor, room: torch.Tensor, record: dict[str, torch.Tensor], noise: torch.Tensor
    ) -> None:
        blocks = second.view(-1, BLOCK)
        torch.amax(blocks, 1, out=record["vs"])
        # Fourth roots by way of 1 / sqrt: half of sqrt's time, and 0 comes back as 0.
        blocks.rsqrt_().rsqrt_().mul_((record["vs"].clamp_min(_LEAST).rsqrt_().sqrt_() * 255)[:, None])
        second.add_(noise, alpha=1 / (1 << 16)).clamp_(1, _MOST)
        record["v"].copy_(room.view(torch.int32).copy_(second))  # by way of 32 bits, which is 3 times as quick


class SchemeF(SchemeE):
    """A 24-bit master, both memories in 8 bits by blocks (the layout of FlashOptim, arXiv 2602.23349)."""

    key = "F"
    parts = (Part("r", "int8", 1), *SchemeE.parts[1:])

    def master(
        self, weights: torch.Tensor, record: dict[str, torch.Tensor], out: torch.Tensor | None = None
    ) -> torch.Tensor:
        return widened(weights, out, record["r"], 8)

    def _keep_master(self, tile: Tile, master: torch.Tensor) -> None:
        self.split(master, tile.weights, tile.record, tile.noise(2, len(master)))

    def split(
        self,
        master: torch.Tensor,
        weights: torch.Tensor,
        record: dict[str, torch.Tensor],
        noise: torch.Tensor | None,
    ) -> None:
        bits = master.view(torch.int32)
        bits = bits.add_(noise >> 8 if noise is not None else 128).bitwise_right_shift_(8)
        record["r"].copy_(bits)
        weights.copy_(bits.add_(128).bitwise_right_shift_(8))


class SchemeI(Scheme):
    """AdaLomo (arXiv 2310.10195): bf16 weights, and for each matrix its gradients' mean squares by row and by column.

    Those are small and stay in memory. Without the paper's scaling by each matrix's own size, so that a learning rate
    means what it means to AdamW.
    """

    key = "I"
    tile = 1 << 62
    parts = ()

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def piece(self, device: torch.device) -> int | None:
        return None

    def learn(self, tile: Tile) -> None:
        for at, matrix in enumerate(chain.from_iterable(map(_matrices, tile.segments))):
            if fused_update.offers(self.key, tile.weights.device):
                self._learn_compiled_matrix(tile, matrix)
            else:
                self._learn_matrix(tile, at, matrix)

    def master(
        self, weights: torch.Tensor, record: dict[str, torch.Tensor], out: torch.Tensor | None = None
    ) -> torch.Tensor:
        return widened(weights, out)

    def split(
        self,
        master: torch.Tensor,
        weights: torch.Tensor,
        record: dict[str, torch.Tensor],
        noise: torch.Tensor | None,
    ) -> None:
        weights.copy_(master.view(torch.int32).add_(_HALF if noise is None else noise).bitwise_right_shift_(16))

    def _learn_compiled_matrix(self, tile: Tile, segment: Segment) -> None:
        gradient = segment.gradient(0, segment.end - segment.first).view(segment.shape[0], -1)
        rows, columns = self._known(segment.name, tile.hyper.step, *fused_update.squares(gradient, segment.scale))
        fused_update.learn_matrix(
            tile.weights[segment.first : segment.end],
            gradient,
            rows,
            columns,
            scale=segment.scale,
            decay=segment.decay,
            rate=tile.hyper.rate,
            seed=tile.seed + segment.first,
        )

    def _learn_matrix(self, tile: Tile, at: int, segment: Segment) -> None:
        """A few rows at a time, three times over: what it takes beside the gradient does not grow with the matrix."""
        numbers = segment.end - segment.first
        width = numbers // segment.shape[0]
        piece = max(1, (CACHED if tile.weights.device.type == "cpu" else TILE) // width) * width
        spans = [(first, min(first + piece, numbers)) for first in range(0, numbers, piece)]
        rows, columns = self._sizes(segment, spans, width, tile.hyper.step)
        squares = sum(self._direction(segment, span, rows, columns).square_().sum() for span in spans)
        strength = torch.as_tensor(squares / numbers).sqrt().clamp_min(1.0)
        for number, (first, end) in enumerate(spans):
            part = tile.weights[segment.first + first : segment.first + end]
            direction = self._direction(segment, (first, end), rows, columns).div_(strength)
            master = self.master(part, {}, self.scratch.take("master", part))
            if segment.decay:
                master.mul_(1 - tile.hyper.rate * segment.decay)
            master.add_(direction.view(-1), alpha=-tile.hyper.rate)
            self.split(master, part, {}, tile.noise(at * len(spans) + number, end - first))

    def _sizes(
        self, segment: Segment, spans: list[tuple[int, int]], width: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows,) and (columns,): mean squares of the gradients so far; rows are divided by their mean."""
        means, sums = [], []
        for span in spans:
            square = self.gradient(segment, *span).view(-1, width).square()
            means.append(square.mean(1))
            sums.append(square.sum(0))
        return self._known(segment.name, step, torch.cat(means), torch.stack(sums).sum(0).div_(segment.shape[0]))

    def _known(
        self, name: str, step: int, rows: torch.Tensor, columns: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """With those of the steps before; rows are divided by their mean."""
        memory = 1 - step**-0.8
        if name in self.sums:
            known = self.sums[name]
            rows = known[0].to(rows).mul(memory).add_(rows, alpha=1 - memory)  # others may want what was known
            columns = known[1].to(columns).mul(memory).add_(columns, alpha=1 - memory)
        self.sums[name] = rows, columns
        return rows / rows.mean().clamp_min(1e-30), columns

    def _direction(
        self, segment: Segment, span: tuple[int, int], rows: torch.Tensor, columns: torch.Tensor
    ) -> torch.Tensor:
        """(some rows, columns) before its strength is limited; overwritten by the next."""
        gradient = self.gradient(segment, *span).view(-1, len(columns))
        own = rows[span[0] // len(columns) : span[1] // len(columns)]
        size = self.scratch.take("direction", gradient.view(-1)).view(gradient.shape)
        return torch.mul(own[:, None], columns, out=size).add_(1e-30).rsqrt_().mul_(gradient)


def _matrices(segment: Segment) -> Iterator[Segment]:
    """A stack of experts one by one: each has rows and columns of its own."""
    if len(segment.shape) < 3 or segment.shape[1] == 1:  # a convolution's weights are one matrix
        yield segment
        return
    size = prod(segment.shape[1:])
    for number in range(segment.shape[0]):
        first = number * size

        def gradient(start: int, end: int, first: int = first) -> torch.Tensor:
            return segment.gradient(first + start, first + end)

        start, name = segment.first + first, f"{segment.name} {number}"
        yield replace(segment, first=start, end=start + size, gradient=gradient, shape=segment.shape[1:], name=name)


def widened(
    bits: torch.Tensor, out: torch.Tensor | None = None, rest: torch.Tensor | None = None, lower: int = 16
) -> torch.Tensor:
    """bf16 bits (n,) as fp32 numbers, with the `lower` bits that follow; in `out` or in memory of their own."""
    wide = torch.empty(len(bits), dtype=torch.float32, device=bits.device) if out is None else out
    whole = wide.view(torch.int32)
    # In pieces, since adding integers of another width makes a copy of what is added.
    each = CACHED if bits.device.type == "cpu" else max(1, len(bits))
    for start in range(0, len(bits), each):
        part = whole[start : start + each].copy_(bits[start : start + each]).bitwise_left_shift_(lower)
        if rest is not None:
            part.add_(rest[start : start + each])
        part.bitwise_left_shift_(16 - lower)
    return wide


SCHEMES: dict[str, type[Scheme]] = {kind.key: kind for kind in (Scheme, SchemeD, SchemeE, SchemeF, SchemeI)}
