"""Training by forward passes alone (MeZO, arXiv 2305.17333; Sparse MeZO, arXiv 2402.15751): no gradients, no state.

Two passes with all weights moved a little to either side along one random direction tell the slope along it. The
published code moves weights in place and back, which drifts in 16 bits and needs them fp32 to be exact. Here a layer's
moved weights exist while that layer runs and the true ones are never touched; the direction comes from a seed, again
and again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studio.engine.checkpoint import random_state, set_random_state
from studio.engine.driver import Driver
from studio.engine.full import model_saver
from studio.engine.layers import Layers, take_apart
from studio.engine.load import load_base
from studio.engine.prepared import Base, Prepared
from studio.engine.rounding import round_at_random
from studio.protocol import events

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows

_SAMPLE = 1 << 20


def prepare_zeroth_order(base: Base, *, epsilon: float, share: float, others: bool) -> Prepared:
    """A model that is only ever run forward.

    Args:
        epsilon: how far weights are moved to either side.
        share: of each matrix's weights, the smallest ones, that are trained; 1 for all.
        others: train embedding, head and last norm too.
    """
    model: Any = load_base(base.resume or base.folder, dtype=base.dtype, device=base.device)
    model.requires_grad_(False)
    layers = take_apart(model)
    driver = ZerothOrder(layers, epsilon=epsilon, share=share, others=others, seed=base.seed, device=base.device)
    return Prepared(
        model=model,
        save_weights=model_saver(model, base, kept=getattr(torch, base.dtype)),
        driver=driver,
        parameters=driver.weights,
    )


class ZerothOrder(Driver):
    """Tells slopes from forward passes, and steps down them.

    Attributes:
        weights: what is trained, by name.
    """

    recomputes = True  # nothing waits for a way back that there is not

    def __init__(
        self, layers: Layers, *, epsilon: float, share: float, others: bool, seed: int, device: torch.device
    ) -> None:
        self._layers, self._epsilon, self._seed = layers, epsilon, seed
        self._others = layers.others if others else {}
        self.weights: dict[str, nn.Parameter] = {**self._others}
        for block in layers.blocks:
            self.weights |= block
        self._place = {id(p): at for at, p in enumerate(self.weights.values())}
        self._limits = {id(p): _limit(p, share) for p in self.weights.values()}
        self._noise = torch.Generator(device).manual_seed(seed + 0x3E20)
        self._slope = 0.0
        self._step = 0
        self._has_learned = False  # anything, in the step that is under way

    def begin(self, loop: Loop) -> None:
        """Say what is not used."""
        self._loop = loop
        if loop.progress.step == 0:
            loop.emit(events.Notice(text="This method takes plain steps: optimizer and clip norm are not used."))

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """Each step has a direction of its own."""
        self._step = number

    @torch.no_grad()
    def gradient(self, loop: Loop, rows: list[Rows], trained: float) -> float:
        """Two passes, then the step itself, for there is nothing that an optimizer could see."""
        self._has_learned = False
        draws = random_state()  # dropout and noise must be the same on both sides
        above = self._loss(loop, rows, trained, self._epsilon)
        set_random_state(draws)
        below = self._loss(loop, rows, trained, -self._epsilon)
        self._slope = (above - below) / (2 * self._epsilon)
        rate = loop.optimizer.param_groups[0]["lr"]
        shrink = 1.0 - rate * loop.train.weight_decay
        self._has_learned = True
        for weight in self.weights.values():
            moved = weight.float() * (shrink if weight.ndim > 1 else 1.0)
            moved -= rate * self._slope * self._direction(weight)
            weight.copy_(round_at_random(moved, weight.dtype, self._noise))
        return (above + below) / 2

    def take_back(self) -> bool:
        """Weights are where they were, unless they were about to learn."""
        return not self._has_learned

    def gradient_size(self) -> float | None:
        """The slope along this step's direction."""
        return abs(self._slope)

    def state(self) -> dict[str, Any]:
        """Rounding, and which weights count as small."""
        return {"noise": self._noise.get_state(), "limits": list(self._limits.values())}

    def load_state(self, state: dict[str, Any]) -> None:
        """As it was."""
        self._noise.set_state(state["noise"])
        self._limits = dict(zip(self._limits, state["limits"], strict=True))

    def _loss(self, loop: Loop, rows: list[Rows], trained: float, distance: float) -> float:
        """Mean loss over all processes with the weights moved."""
        total = torch.zeros((), device=loop.accelerator.device)
        with self._moved(distance):
            for row in rows:
                total += loop.module(row.input_ids, row.position_ids, row.index, row.targets, row.row_lengths)[0]
        return loop.sum(total)[0] / trained

    @contextlib.contextmanager
    def _moved(self, distance: float) -> Iterator[None]:
        """Each layer's weights are moved while it runs, those outside the layers for as long as this lasts."""
        kept: dict[nn.Parameter, torch.Tensor] = {}

        def move(parameters: list[nn.Parameter]) -> None:
            for weight in parameters:
                moved = (weight.float() + distance * self._direction(weight)).to(weight.dtype)
                kept[weight], weight.data = weight.data, moved

        def put_back(parameters: list[nn.Parameter]) -> None:
            for weight in parameters:
                weight.data = kept.pop(weight)

        outside = list(self._others.values())
        hooks = []
        for layer, block in zip(self._layers.modules, self._layers.blocks, strict=True):
            inside = list(block.values())
            hooks.append(layer.register_forward_pre_hook(lambda *_, inside=inside: move(inside)))
            hooks.append(layer.register_forward_hook(lambda *_, inside=inside: put_back(inside)))
        try:
            move(outside)
            yield
        finally:
            put_back(list(kept))  # those outside, and those of a layer that failed
            for hook in hooks:
                hook.remove()

    def _direction(self, weight: torch.Tensor) -> torch.Tensor:
        """This step's random direction of one weight: the same numbers whenever it is asked for."""
        seed = ((self._seed * 1_000_003 + self._step) * 1_000_003 + self._place[id(weight)]) & 0x7FFF_FFFF_FFFF_FFFF
        generator = torch.Generator(weight.device).manual_seed(seed)
        drawn = torch.randn(weight.shape, generator=generator, device=weight.device)
        limit = self._limits[id(weight)]
        return drawn if limit is None else drawn * (weight.abs() <= limit)


def _limit(weight: torch.Tensor, share: float) -> float | None:
    """The size below which a share of a matrix's weights lies, told from a part of a large one."""
    if share >= 1 or weight.ndim < 2:
        return None
    sizes = weight.detach().abs().flatten()[:: max(1, weight.numel() // _SAMPLE)].float()
    return float(sizes.kthvalue(max(1, round(share * len(sizes)))).values)
