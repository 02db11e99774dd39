"""How a trained number is kept between steps: its 16-bit weight, what is missing to fp32, and Adam's two memories.

Weight and residual are one fp32 number cut in two: `bits(p) = (bits(w) << 16) + r` with r a signed 16-bit number. So
w is p rounded to bf16 (halves away from zero, the one rounding that leaves r in 16 bits) and p comes back exactly.
Letters are those of PERFORMANCE.md section 1.3. What is rounded to 8 or 16 bits and changes by less than half a unit
a step (second memory, short masters) is rounded at random, or it would never change at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from studio.models.store_layout import Part

BLOCK = 256
"""Numbers that share a scale in 8-bit state."""
_HALF = 1 << 15


@dataclass(frozen=True)
class Segment:
    """A run of numbers of one tensor inside a tile, `first` to `end` counted from the tile's beginning."""

    first: int
    end: int
    decay: float
    gradient: Callable[[], torch.Tensor]
    shape: tuple[int, ...]
    name: str


@dataclass(frozen=True)
class Hyper:
    """What AdamW is told at step `step` (the first is 1)."""

    step: int
    rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


@dataclass
class Tile:
    """What is updated at once.

    Attributes:
        weights: (numbers,) int16, the bf16 weights' bits; changed in place.
        record: the parts of the tile's record by name; changed in place.
        noise: (numbers,) int32 in [0, 65536), for rounding at random.
    """

    weights: torch.Tensor
    record: dict[str, torch.Tensor]
    segments: list[Segment]
    hyper: Hyper
    noise: Callable[[int], torch.Tensor] = field(repr=False)


class Scheme:
    """C: exact. Master and both memories are fp32; the master is split in two."""

    key = "C"
    tile = 1 << 20
    parts: tuple[Part, ...] = (Part("r", "int16", 2), Part("m", "float32", 4), Part("v", "float32", 4))

    def learn(self, tile: Tile) -> None:
        """One AdamW step on a tile."""
        master = self.master(tile.weights, tile.record)
        first, second = self.first(tile.record), self.second(tile.record)
        for segment in tile.segments:
            part = slice(segment.first, segment.end)
            adamw(master[part], segment.gradient(), first[part], second[part], segment.decay, tile.hyper)
        self.keep(tile, master, first, second)

    def master(self, weights: torch.Tensor, record: dict[str, torch.Tensor]) -> torch.Tensor:
        """The fp32 numbers, as a copy."""
        bits = weights.to(torch.int32).bitwise_left_shift_(16)
        return bits.add_(record["r"]).view(torch.float32)

    def first(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        """Adam's memory of the direction in fp32."""
        return record["m"]

    def second(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        """Adam's memory of the size in fp32."""
        return record["v"]

    def keep(self, tile: Tile, master: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        """Write back what a step changed. `master` is used up."""
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
        high = (bits + _HALF).bitwise_right_shift_(16)
        weights.copy_(high)
        record["r"].copy_(bits.sub_(high.bitwise_left_shift_(16)))


class SchemeD(Scheme):
    """Exact master, both memories in bf16."""

    key = "D"
    parts = (Part("r", "int16", 2), Part("m", "bfloat16", 2), Part("v", "int16", 2))

    def first(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        return record["m"].float()

    def second(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        return widened(record["v"])

    def keep(self, tile: Tile, master: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        tile.record["m"].copy_(first)
        tile.record["v"].copy_(second.view(torch.int32).add_(tile.noise(1)).bitwise_right_shift_(16))
        self.split(master, tile.weights, tile.record, None)


class SchemeE(Scheme):
    """Exact master, both memories in 8 bits by blocks.

    The first memory keeps square roots with their sign, the second fourth roots: both then hold some decades below a
    block's largest number. A second memory that is not zero never becomes zero, or its weight would leap.
    """

    key = "E"
    tile = 1 << 21
    parts = (
        Part("r", "int16", 2),
        Part("m", "int8", 1),
        Part("v", "uint8", 1),
        Part("ms", "float32", 4, BLOCK),
        Part("vs", "float32", 4, BLOCK),
    )

    def first(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        root = record["m"].float().mul_(1 / 127).view(-1, BLOCK)
        return root.mul_(root.abs()).mul_(record["ms"][:, None]).view(-1)

    def second(self, record: dict[str, torch.Tensor]) -> torch.Tensor:
        root = record["v"].float().mul_(1 / 255).view(-1, BLOCK)
        return root.square_().square_().mul_(record["vs"][:, None]).view(-1)

    def keep(self, tile: Tile, master: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        self._keep_first(first, tile.record)
        self._keep_second(second, tile.record, tile.noise(1))
        self.split(master, tile.weights, tile.record, tile.noise(2))

    def _keep_first(self, first: torch.Tensor, record: dict[str, torch.Tensor]) -> None:
        blocks = first.view(-1, BLOCK)
        size = blocks.abs()
        record["ms"].copy_(size.amax(1))
        size.div_(record["ms"].clamp_min(1e-38)[:, None]).sqrt_().mul_(127).round_()
        record["m"].copy_(size.copysign_(blocks).view(-1))

    def _keep_second(self, second: torch.Tensor, record: dict[str, torch.Tensor], noise: torch.Tensor) -> None:
        blocks = second.view(-1, BLOCK)
        record["vs"].copy_(blocks.amax(1))
        blocks.div_(record["vs"].clamp_min(1e-38)[:, None]).sqrt_().sqrt_().mul_(255)
        is_there = second > 0
        second.add_(noise, alpha=1 / (1 << 16)).floor_().clamp_(max=255)
        record["v"].copy_(torch.maximum(second, is_there))


class SchemeF(SchemeE):
    """A 24-bit master, both memories in 8 bits by blocks (the layout of FlashOptim, arXiv 2602.23349)."""

    key = "F"
    parts = (Part("r", "int8", 1), *SchemeE.parts[1:])

    def master(self, weights: torch.Tensor, record: dict[str, torch.Tensor]) -> torch.Tensor:
        bits = weights.to(torch.int32).bitwise_left_shift_(8)
        return bits.add_(record["r"]).bitwise_left_shift_(8).view(torch.float32)

    def split(
        self,
        master: torch.Tensor,
        weights: torch.Tensor,
        record: dict[str, torch.Tensor],
        noise: torch.Tensor | None,
    ) -> None:
        bits = master.view(torch.int32)
        bits = bits.add_(noise >> 8 if noise is not None else 128).bitwise_right_shift_(8)
        high = (bits + 128).bitwise_right_shift_(8)
        weights.copy_(high)
        record["r"].copy_(bits.sub_(high.bitwise_left_shift_(8)))


class SchemeI(Scheme):
    """AdaLomo (arXiv 2310.10195): bf16 weights, and for each matrix its gradients' mean squares by row and by column.

    Those are small and stay in memory. Without the paper's scaling by each matrix's own size, so that a learning rate
    means what it means to AdamW.
    """

    key = "I"
    tile = 1 << 62
    parts = ()

    def __init__(self) -> None:
        self.sums: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def master(self, weights: torch.Tensor, record: dict[str, torch.Tensor]) -> torch.Tensor:
        return widened(weights)

    def split(
        self,
        master: torch.Tensor,
        weights: torch.Tensor,
        record: dict[str, torch.Tensor],
        noise: torch.Tensor | None,
    ) -> None:
        weights.copy_(master.view(torch.int32).add_(_HALF if noise is None else noise).bitwise_right_shift_(16))

    def learn(self, tile: Tile) -> None:
        for at, segment in enumerate(tile.segments):
            part = tile.weights[segment.first : segment.end]
            master = self.master(part, {})
            direction = self._direction(segment, tile.hyper.step)
            if segment.decay:
                master.mul_(1 - tile.hyper.rate * segment.decay)
            master.add_(direction, alpha=-tile.hyper.rate)
            self.split(master, part, {}, tile.noise(at)[: segment.end - segment.first])

    def _direction(self, segment: Segment, step: int) -> torch.Tensor:
        gradient = segment.gradient().view(segment.shape[0], -1)
        square = gradient.square()
        rows, columns = square.mean(1), square.mean(0)
        memory = 1 - step**-0.8
        if segment.name in self.sums:
            known = self.sums[segment.name]
            rows = known[0].to(rows).mul_(memory).add_(rows, alpha=1 - memory)
            columns = known[1].to(columns).mul_(memory).add_(columns, alpha=1 - memory)
        self.sums[segment.name] = rows, columns
        size = torch.outer(rows / rows.mean().clamp_min(1e-30), columns).add_(1e-30).rsqrt_()
        direction = size.mul_(gradient)
        strength = direction.square().mean().sqrt().clamp_min(1.0)
        return direction.div_(strength).view(-1)


def widened(bits: torch.Tensor) -> torch.Tensor:
    """bf16 bits as fp32 numbers, a copy."""
    return bits.to(torch.int32).bitwise_left_shift_(16).view(torch.float32)


SCHEMES: dict[str, type[Scheme]] = {kind.key: kind for kind in (Scheme, SchemeD, SchemeE, SchemeF, SchemeI)}


def adamw(
    weights: torch.Tensor,
    gradient: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    decay: float,
    hyper: Hyper,
) -> None:
    """torch's own fused kernel, which is also what an AdamW in memory runs: the same bits."""
    torch._fused_adamw_(
        [weights],
        [gradient],
        [first],
        [second],
        [],
        [torch.tensor(float(hyper.step), device=weights.device)],
        lr=hyper.rate,
        beta1=hyper.beta1,
        beta2=hyper.beta2,
        weight_decay=decay,
        eps=hyper.epsilon,
        amsgrad=False,
        maximize=False,
    )
