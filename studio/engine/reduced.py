"""Trains large weights through something small: the optimizer sees a short stand-in (`core`) for each of them.

A weight's gradient is turned into its core's gradient the moment it is complete and is then thrown away, so gradients
of all weights never exist at once; the optimizer, whichever the person chose, keeps state for cores alone. What it did
to the cores is then carried over to the weights. What a core is, is the matter of a `Reduction` (reduction.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studio.engine.adapters import checkpoint_activations
from studio.engine.driver import Driver
from studio.engine.full import model_saver
from studio.engine.layers import take_apart
from studio.engine.load import load_base
from studio.engine.prepared import Base, Prepared
from studio.engine.reduction import Reduction, carry_over, matrix

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows


def prepare_reduced(
    base: Base, reduction: Callable[[torch.Tensor], Reduction], *, interval: int, others: bool, vectors: bool
) -> Prepared:
    """A model whose matrices in decoder layers are trained through stand-ins.

    Args:
        reduction: makes the stand-in of a (rows, columns) weight.
        interval: optimizer steps between choices of what cores stand for; 0 chooses once.
        others: train embedding, head and last norm as they are.
        vectors: train norms and biases of the layers as they are.
    """
    model: Any = load_base(base.resume or base.folder, dtype=base.dtype, device=base.device)
    model.requires_grad_(False)
    if base.activation_checkpointing:
        checkpoint_activations(model)
    layers = take_apart(model)
    inside = {name: p for block in layers.blocks for name, p in block.items()}
    weights = {name: p for name, p in inside.items() if p.ndim >= 2}
    always = layers.others if others else {}
    if vectors:
        always = {**always, **{name: p for name, p in inside.items() if p.ndim < 2}}
    driver = ReducedDriver(
        weights, {name: reduction(matrix(p)) for name, p in weights.items()}, always, interval=interval, seed=base.seed
    )
    return Prepared(
        model=model,
        save_weights=model_saver(model, base, kept=getattr(torch, base.dtype)),
        driver=driver,
        parameters={**driver.cores(), **always},
    )


class ReducedDriver(Driver):
    """Turns gradients of weights into gradients of cores, and steps of cores into steps of weights.

    Args:
        weights: trained through stand-ins.
        reductions: the stand-in of each, by the same names.
        always: trained as they are, in fp32.
        interval: optimizer steps between choices of what cores stand for; 0 chooses once.
    """

    def __init__(
        self,
        weights: dict[str, nn.Parameter],
        reductions: dict[str, Reduction],
        always: dict[str, nn.Parameter],
        *,
        interval: int,
        seed: int,
    ) -> None:
        self._weights, self._reductions, self._always, self._interval = weights, reductions, always, interval
        device = next(iter(weights.values())).device
        self._generator = torch.Generator().manual_seed(seed + 0x6A10)  # draws that all devices must agree on
        self._noise = torch.Generator(device).manual_seed(seed + 0x6A11)  # rounding, drawn where the weights are
        self._due = set(weights)

    def cores(self) -> dict[str, nn.Parameter]:
        """All stand-ins, by their weights' names."""
        return {name: reduction.core for name, reduction in self._reductions.items()}

    def begin(self, loop: Loop) -> None:
        """Take gradients over from now on."""
        self._loop = loop
        for parameter in self._always.values():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
        for name, weight in self._weights.items():
            weight.requires_grad_(True)
            weight.register_post_accumulate_grad_hook(self._make_hook(name))

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """Every so many steps all cores stand for something new."""
        if self._interval and (number - 1) % self._interval == 0:
            self._due = set(self._weights)

    def gradient(self, loop: Loop, rows: list[Rows], trained: float) -> float:
        """Gradients of cores and of what is trained as it is."""
        loss = loop.accumulate(rows, trained)
        for reduction in self._reductions.values():
            if reduction.core.grad is not None:
                reduction.precondition()
        return loss

    def take_back(self) -> bool:
        """What cores stand for is chosen from a micro-batch, and some weights step with each: in pieces it differs."""
        return False

    @torch.no_grad()
    def after_step(self, rate: float) -> None:
        """Weights follow their cores."""
        shrink = 1.0 - rate * self._loop.train.weight_decay
        for name, weight in self._weights.items():
            if weight.requires_grad:
                self._reductions[name].apply(matrix(weight), shrink, self._noise)

    def state(self) -> dict[str, Any]:
        """Draws, what cores stand for, and exact values of what is trained as it is."""
        return {
            "generator": self._generator.get_state(),
            "noise": self._noise.get_state(),
            "due": sorted(self._due),
            "reductions": {name: reduction.state() for name, reduction in self._reductions.items()},
            "always": {name: parameter.detach() for name, parameter in self._always.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """As it was."""
        self._generator.set_state(state["generator"])
        self._noise.set_state(state["noise"])
        self._due = set(state["due"])
        for name, reduction in self._reductions.items():
            reduction.load_state(state["reductions"][name])
        for name, parameter in self._always.items():
            parameter.data = state["always"][name].to(parameter.device)

    def _make_hook(self, name: str) -> Callable[[torch.Tensor], None]:
        def hook(weight: torch.Tensor) -> None:
            self._take(name, weight)

        return hook

    @torch.no_grad()
    def _take(self, name: str, weight: torch.Tensor) -> None:
        """Turn a weight's gradient into its core's, and let it go."""
        assert weight.grad is not None
        reduction, grad = self._reductions[name], matrix(weight.grad)
        weight.grad = None
        if reduction.steps_at_once:
            grad = self._over_processes(grad)
        if name in self._due:
            self._due.discard(name)
            self._choose(reduction, matrix(weight), grad)
        rate = self._loop.optimizer.param_groups[0]["lr"] / self._loop.train.accumulation
        part = reduction.reduce(matrix(weight), grad, rate, self._noise)
        core = reduction.core
        core.grad = part if core.grad is None else core.grad + part

    def _choose(self, reduction: Reduction, weight: torch.Tensor, grad: torch.Tensor) -> None:
        remap = reduction.choose(weight, self._over_processes(grad).float(), self._generator)
        if remap is not None:
            carry_over(self._loop.optimizer, reduction.core, remap)

    def _over_processes(self, grad: torch.Tensor) -> torch.Tensor:
        """The mean over all processes, for what all of them must do alike."""
        if self._loop.accelerator.num_processes == 1:
            return grad
        mean: torch.Tensor = self._loop.accelerator.reduce(grad.clone(), "mean")
        return mean
