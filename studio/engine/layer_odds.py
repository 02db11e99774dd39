"""Odds for layers to be drawn: by their share of outlying weights (OwLore), or by how the loss needs them (IST)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studio.engine.choosers import Chooser, Draw
from studio.engine.layers import Layers
from studio.engine.rows import lay_out

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows

OUTLIER = 5.0
"""How many times the layer's mean a weight's effect must be to count as an outlier (M in OWL, arXiv 2310.05175)."""
CALIBRATION_BATCHES = 8


def layer_chooser(odds: str, count: int, layers: Layers) -> Chooser:
    """Draws `count` layers with "uniform", "outliers" or "importance" odds."""
    total = len(layers.modules)
    if odds == "outliers":
        return OutlierDraw(count, layers.modules)
    if odds == "importance":
        return ImportanceDraw(count, total, lambda damped: damped_layers(layers.modules, damped))
    return Draw(count, total)


class OutlierDraw(Draw):
    """Odds by each layer's share of outliers, measured once on training rows (OwLore, arXiv 2405.18380)."""

    def __init__(self, count: int, layers: list[nn.Module]) -> None:
        super().__init__(count, len(layers))
        self._layers = layers

    def begin(self, loop: Loop) -> None:
        """Measure; a resumed run gets its first measurement back instead."""
        if loop.progress.step == 0:
            ratios = _outlier_ratios(loop, self._layers)
            summed = loop.sum(*ratios)  # every process saw other rows
            self.weights = torch.tensor(summed) + 1e-6


@torch.no_grad()
def _outlier_ratios(loop: Loop, layers: list[nn.Module]) -> list[float]:
    """Of each layer's |weight| * ‖input‖, the share above `OUTLIER` times their mean."""
    linears = [[m for m in layer.modules() if isinstance(m, nn.Linear)] for layer in layers]
    squares: dict[nn.Module, torch.Tensor] = {}

    def watch(module: nn.Module, args: tuple[Any, ...]) -> None:
        total = args[0].detach().float().square().flatten(0, -2).sum(0)
        squares[module] = squares[module] + total if module in squares else total

    hooks = [m.register_forward_pre_hook(watch) for group in linears for m in group]
    try:
        for batch in islice(loop.plan.batches(0), CALIBRATION_BATCHES):
            _loss_of(loop, lay_out(batch, loop.accelerator.device))
    finally:
        for hook in hooks:
            hook.remove()
    return [_share_of_outliers([(m.weight, squares[m]) for m in group if m in squares]) for group in linears]


def _share_of_outliers(measured: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    count = sum(weight.numel() for weight, _ in measured)
    effects = [(weight.abs().float() * squares.sqrt()) for weight, squares in measured]
    mean = sum(float(effect.sum()) for effect in effects) / max(1, count)
    return sum(int((effect > OUTLIER * mean).sum()) for effect in effects) / max(1, count)


class ImportanceDraw(Draw):
    """Odds by how much the loss suffers when a layer is damped (IST, arXiv 2410.11772).

    Every `EVERY` steps a few random halves of the layers are damped in turn and the step's own rows are run through
    the model. Layers that were spared when the loss came out low gain, the others lose. The gain is measured against
    the spread of the probes, so that it does not depend on how high the loss is.

    Args:
        damp: context manager that damps the layers it is given.
    """

    EVERY = 10
    PROBES = 3
    GAIN = 0.2

    def __init__(
        self, count: int, total: int, damp: Callable[[list[int]], contextlib.AbstractContextManager[None]]
    ) -> None:
        super().__init__(count, total)
        self._scores = torch.zeros(total)
        self._damp = damp

    def begin(self, loop: Loop) -> None:
        """Remember whose loss to measure."""
        self._loop = loop

    def observe(self, number: int, rows: list[Rows], generator: torch.Generator) -> None:
        """Probe when it is time."""
        if (number - 1) % self.EVERY:
            return
        total = len(self._scores)
        spared = torch.zeros(self.PROBES, total)
        rewards = torch.zeros(self.PROBES)
        for probe in range(self.PROBES):
            order = torch.randperm(total, generator=generator)
            damped, kept = order[: total // 2], order[total // 2 :]
            spared[probe, kept] = 1.0
            with self._damp(sorted(damped.tolist())):
                rewards[probe] = -self._loss(rows)
        gains = (rewards - rewards.mean()) / rewards.std().clamp_min(1e-6)
        self._scores += self.GAIN * ((2 * spared - 1) * gains[:, None]).sum(0)
        self.weights = torch.softmax(self._scores, 0)

    def state(self) -> dict[str, Any]:
        """Odds and scores."""
        return {**super().state(), "scores": self._scores}

    def load_state(self, state: dict[str, Any]) -> None:
        """Odds and scores."""
        super().load_state(state)
        self._scores = state["scores"]

    @torch.no_grad()
    def _loss(self, rows: list[Rows]) -> float:
        """Mean loss of the step's rows over all processes, without dropout or noise, which would draw numbers."""
        loss = self._loop.plan.loss
        loss.eval()
        try:
            sums = self._loop.sum(sum(_loss_of(self._loop, row) for row in rows), sum(r.num_trained for r in rows))
        finally:
            loss.train()
        return sums[0] / max(1.0, sums[1])


def _loss_of(loop: Loop, rows: Rows) -> float:
    """Summed loss of one micro-batch, without gradients."""
    with torch.no_grad(), loop.accelerator.autocast():
        _, nll = loop.plan.loss(rows.input_ids, rows.position_ids, rows.index, rows.targets, rows.row_lengths)
    return float(nll)


@contextlib.contextmanager
def damped_layers(layers: list[nn.Module], damped: list[int], share: float = 0.25) -> Iterator[None]:
    """Let only a share of what these layers add to the hidden states through."""

    def damp(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        before = args[0] if args else kwargs["hidden_states"]
        after = output[0] if isinstance(output, tuple) else output
        mixed = before + share * (after - before)
        return (mixed, *output[1:]) if isinstance(output, tuple) else mixed

    hooks = [layers[at].register_forward_hook(damp, with_kwargs=True) for at in damped]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
