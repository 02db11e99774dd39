"""Full fine-tuning streamed: layers pass through one at a time, forward, back, and straight into their update.

How they pass: see `vertical.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studio.engine.checkpoint import MANIFEST
from studio.engine.driver import Driver
from studio.engine.stream import fused_update
from studio.engine.stream.adamw import Hyper
from studio.engine.stream.blocks import Blocks
from studio.engine.stream.clipping import Clip, Clipping
from studio.engine.stream.create import Made
from studio.engine.stream.learner import Gradient, Group, Learner, Lesson, at_rate
from studio.engine.stream.residents import End, Smalls
from studio.engine.stream.schemes import CACHED, Scheme, SchemeI
from studio.engine.stream.store import Store
from studio.engine.stream.tiled import TiledEmbedding, TiledEnd, TiledHead
from studio.engine.stream.turns import Turns
from studio.engine.stream.vertical import MEASURED_TOKENS, Pass, Vertical
from studio.errors import UserError
from studio.methods._streamed import HELD_NUMBERS
from studio.models.store_layout import StoredTensor
from studio.protocol import events
from studio.sizes import human_bytes

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows


@dataclass
class Streamed:
    """A model taken apart for streaming.

    Attributes:
        layer_of: the layer that a vector belongs to; those outside are not in it.
        trains_ends: whether embedding, head and last norm learn.
    """

    store: Store
    scheme: Scheme
    blocks: Blocks
    ends: list[End]
    tiled: list[TiledEnd]
    embedding: TiledEmbedding | None
    head: TiledHead | None
    smalls: Smalls
    stand_ins: dict[str, nn.Parameter]
    layer_of: dict[str, int]
    trains_ends: bool


class StreamDriver(Driver):
    """The loop's hand on a streamed model.

    Args:
        parts: the model taken apart.
        vertical: the way through its layers.
        clipping: see `clipping.py`.
        device: where it computes.
        seed: of what is rounded at random.
        turns: which layers learn when.
        made: how the making of the store went, where it was made just now.
    """

    measured_tokens = MEASURED_TOKENS
    recomputes = True

    def __init__(
        self,
        parts: Streamed,
        vertical: Vertical,
        *,
        clipping: Clipping,
        device: torch.device,
        seed: int,
        turns: Turns,
        made: Made | None = None,
    ) -> None:
        self.parts, self.store = parts, parts.store
        self._made, self._turns = made, turns
        self._learner = Learner(parts.store, parts.scheme, device=device, seed=seed)
        self._vertical = vertical
        self._device, self._clipping = device, clipping
        self._groups: dict[str, Group] = {}
        units = parts.store.layout.units
        self._layer_of = {t.name: unit.layer for unit in units if unit.layer is not None for t in unit.tensors}
        self._layer_of |= parts.layer_of
        self._norm = self._waited_before = 0.0
        self._norms: dict[str, torch.Tensor] = {}
        self._sums: dict[str, torch.Tensor] = {}
        self._gathered: dict[int, dict[str, torch.Tensor]] = {}
        self._sums_before: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self._can_take_back = True
        self._checkpoints = Path()

    def begin(self, loop: Loop) -> None:
        """Read the optimizer's groups, and say what of the settings does not count here.

        Raises:
            UserError: several processes, which would all write the same store.
        """
        self._loop = loop
        if loop.accelerator.num_processes > 1:
            raise UserError("A streamed run has one process.", "Start it without --processes.")
        names = {id(parameter): name for name, parameter in self.parts.stand_ins.items()}
        for group in loop.optimizer.param_groups:
            betas = group.get("betas", (0.9, 0.999))
            hyper = Hyper(0, 0.0, betas[0], betas[1], group.get("eps") or 1e-8)
            for parameter in group["params"]:
                self._groups[names[id(parameter)]] = Group(group["weight_decay"], hyper)
        units = self._turns.at_once + (len(self.parts.ends) if self.parts.trains_ends else 0)
        self._clip = Clip(self._clipping, loop.train.clip_norm or 0.0, units)
        loop.plan.checkpoints.keep_newest_only()
        self._checkpoints = loop.plan.checkpoints.folder
        for notice in _notices(loop, self.store):
            loop.emit(notice)
        if self._made is not None and self._made.is_slow:
            loop.emit(_slow(self._made))

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """Who learns; and once the step before is in a complete checkpoint, its old slots are free."""
        self._waited_before = self.store.traffic.counts.waited
        self._turns.begin_step(self._loop, number)
        for name, parameter in self.parts.smalls.parameters.items():
            parameter.requires_grad_(self._learns(self.parts.layer_of.get(name)))
        if (self._checkpoints / f"{number - 1:08d}" / MANIFEST).is_file():
            self.store.settle()
        self._can_take_back = self.store.is_settled
        self._learner.learned.clear()
        if isinstance(self.parts.scheme, SchemeI):
            self._sums_before = dict(self.parts.scheme.sums)

    def gradient(self, loop: Loop, rows: list[Rows], trained: float) -> float:
        """The whole step; nothing is left for the loop's optimizer."""
        rate = loop.optimizer.param_groups[0]["lr"]
        number = loop.progress.step + 1
        self._groups = {name: at_rate(group, self._step_of(name, number), rate) for name, group in self._groups.items()}
        self._norms.clear()
        lowest = 0 if self.parts.trains_ends else min(self._turns.active)
        under_way = self._vertical.climb(loop, rows, self._turns.active, lowest)
        loss = float(self._vertical.turn(loop, rows, under_way, 1 / trained)) / trained
        scale = self._length_first(loop, under_way, lowest) if self._clip.waits else None
        self._descend(loop, under_way, lowest, partial(self._learned, scale))
        if scale is None:
            self._reach_embedding(under_way)
        self._finish(scale)
        self._turns.end_step()
        return loss

    def take_back(self) -> bool:
        """The drive still has what layers were before the step, unless no checkpoint could be written of that; memory
        has it until what stays there learns, which is last.
        """
        self._vertical.take_back()
        self._learner.take_back()
        for left in (self._norms, self._sums, self._gathered):
            left.clear()
        for tiled in self.parts.tiled:
            tiled.forget()
        for parameter in (*(end.parameter for end in self.parts.ends), *self.parts.smalls.parameters.values()):
            parameter.grad = None
        if self._can_take_back:
            self.store.roll_back(self._learner.learned)
            self._learner.learned.clear()
            if isinstance(self.parts.scheme, SchemeI):
                self.parts.scheme.sums = dict(self._sums_before)
        return self._can_take_back or not self._learner.learned

    def give_way(self) -> str:
        """Layer inputs leave a card."""
        return self._vertical.give_way()

    def waited(self) -> float:
        """Seconds of the step that computing stood still."""
        return self.store.traffic.counts.waited - self._waited_before

    def measure(self, loop: Loop, rows: list[Rows]) -> float:
        """All of them up together."""
        return self._vertical.measure(loop, rows)

    def gradient_size(self) -> float | None:
        """Of all gradients, before clipping."""
        return self._norm

    def state(self) -> dict[str, Any]:
        """What is trained and lies in no file of the store."""
        state = {"smalls": self.parts.smalls.state(), "clip": self._clip.state(), "turns": self._turns.state()}
        if isinstance(self.parts.scheme, SchemeI):
            state["sums"] = {name: [t.cpu() for t in sums] for name, sums in self.parts.scheme.sums.items()}
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Put it back."""
        self.parts.smalls.load_state(state["smalls"])
        self._clip.load_state(state["clip"])
        self._turns.load_state(state["turns"])
        if isinstance(self.parts.scheme, SchemeI):
            self.parts.scheme.sums = {
                name: (rows.to(self._device), columns.to(self._device))
                for name, (rows, columns) in state["sums"].items()
            }

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()
        self._vertical.close()

    def _learns(self, layer: int | None) -> bool:
        return self.parts.trains_ends if layer is None else layer in self._turns.active

    def _step_of(self, name: str, number: int) -> int:
        """The step that a number is at: a layer that learns by turns counts its own."""
        layer = self._layer_of.get(name)
        return number if layer is None else self._turns.steps[layer] + 1

    def _length_first(self, loop: Loop, under_way: Pass, lowest: int) -> float:
        """What holds the whole gradient in: it comes down once for its length, and then once more to be learned from.

        Reading the layers again costs 2 bytes a number and no wear; gradients that waited on the drive would cost 6.
        """
        arrived = list(under_way.travelling)
        self._descend(loop, under_way, lowest, self._measured, again=True)
        self._reach_embedding(under_way)
        for tiled in self._tiled_learning():
            self._norms[tiled.tensor.name] = self._measure_tiles(tiled)
        scale = self._clip.of_all(self._length())
        under_way.travelling = arrived
        for name in self.parts.layer_of:
            self.parts.smalls.parameters[name].grad = None  # it comes once more as well
        return scale

    def _descend(
        self, loop: Loop, under_way: Pass, lowest: int, learned: Callable[..., None], *, again: bool = False
    ) -> None:
        """Down through all layers. `again`: they are wanted once more."""
        top = len(self.parts.blocks) - 1
        for at in reversed(range(lowest, top + 1)):
            then = at - 1 if at > lowest else top if again else -1
            if at not in self._turns.active:
                self._vertical.descend(loop, under_way, at, then=then, again=again)
                continue
            # First the layer's own pieces are read ahead, then its records.
            self._vertical.bind(loop, at, then=then, train=True)
            if not again:
                self._learner.prefetch(self.parts.blocks.units[at][-1])
            self._vertical.descend(loop, under_way, at, then=then, learned=partial(learned, at), again=again)
        self.parts.blocks.end_descent()

    def _reach_embedding(self, under_way: Pass) -> None:
        if self.parts.trains_ends:
            for call, gradient in zip(under_way.calls, under_way.travelling, strict=True):
                call.hidden.backward(gradient)

    def _added_up(self, unit: int, number: int, count: int) -> dict[str, torch.Tensor]:
        """A unit's gradients of all micro-batches with the last one's; before it, nothing."""
        gradients = self.parts.blocks.take_gradients(unit)
        if count == 1:
            return gradients
        _add_up(self._sums, gradients)
        return {name: self._sums.pop(name) for name in gradients} if number == count - 1 else {}

    @torch.no_grad()
    def _measured(self, at: int, unit: int, *, number: int, count: int) -> None:
        """Take a unit's gradients of one micro-batch; the last one shows their length."""
        gradients = self._added_up(unit, number, count)
        if gradients:
            self._norms.update({name: self._norm_of(gradient) for name, gradient in gradients.items()})
            self.parts.blocks.give_back(unit)

    @torch.no_grad()
    def _learned(self, scale: float | None, at: int, unit: int, *, number: int, count: int) -> None:
        """Take a unit's gradients of one micro-batch; after the last one it learns, or they wait for their layer's.

        Args:
            scale: of the whole gradient, where its length is known.
        """
        gradients = self._added_up(unit, number, count)
        if not gradients:
            return
        if scale is None:
            self._norms.update({name: self._norm_of(gradient) for name, gradient in gradients.items()})
        units = self.parts.blocks.units[at]
        keep = self._clip.by_layer and count == 1 and len(units) > 1
        self._gathered[unit] = {name: g.clone() for name, g in gradients.items()} if keep else gradients
        del gradients
        if scale is None and (not self._clip.by_layer or len(self._gathered) == len(units)):
            norm = _total([self._norms[name] for own in sorted(self._gathered) for name in self._gathered[own]])
            scale = self._clip.of_unit(float(norm))
        if scale is not None:
            self._learn_gathered(at, scale)

    def _learn_gathered(self, at: int, scale: float) -> None:
        units = self.parts.blocks.units[at]
        for unit in sorted(self._gathered, reverse=True):
            source = partial(_part, self._gathered.pop(unit))
            self._learner.learn(Lesson(unit, self.parts.blocks.hand_over(unit), source, self._groups, scale))
            if unit > units[0]:
                self._learner.prefetch(unit - 1)

    @torch.no_grad()
    def _finish(self, scale: float | None) -> None:
        """What learns last: the ends and the vectors."""
        for tiled in self._tiled_learning():
            self._learn_tiles(tiled, scale)
        if scale is None:
            self._length()
        self._can_take_back = False
        for end in self.parts.ends:
            self._learn_end(end, self._own_scale(end.name, scale))
        for name in self.parts.smalls.parameters:
            self.parts.smalls.learn(name, self._groups[name], self._own_scale(name, scale))
        self._clip.learned(self._norm)

    def _own_scale(self, name: str, scale: float | None) -> float:
        return self._clip.of_unit(float(self._norms.get(name, 0.0))) if scale is None else scale

    @torch.no_grad()
    def _length(self) -> torch.Tensor:
        """Of the whole gradient; that of what streams is known."""
        rest = {end.name: end.parameter for end in self.parts.ends} | self.parts.smalls.parameters
        self._norms.update({name: _norm(p.grad) for name, p in rest.items() if p.grad is not None})
        norm = _total([self._norms[name] for name in self.parts.stand_ins if name in self._norms])
        self._norm = float(norm)
        return norm

    def _tiled_learning(self) -> list[TiledEnd]:
        return [tiled for tiled in self.parts.tiled if tiled.learns]

    @torch.no_grad()
    def _measure_tiles(self, end: TiledEnd) -> torch.Tensor:
        """The length of a tiled end's gradient."""
        return _total([_norm(end.gradient(row * end.width, rows.reshape(-1))) for row, rows in end.tiles()])

    def _learn_tiles(self, end: TiledEnd, scale: float | None) -> None:
        """One step of a tiled end, whose gradient is made tile by tile; without a factor its length is noted."""
        norms = []
        self._learner.prefetch(end.at)
        for first, stop, weights, numbers in end.read_tiles():
            gradient, own = end.gradient(first, numbers), scale
            if own is None:
                norms.append(_norm(gradient))
                own = self._clip.of_unit(float(norms[-1]))
            lesson = Lesson(end.at, weights, _of_tile(gradient, first), self._groups, own, is_tiled=True)
            self._learner.learn_tile(lesson, first, stop)
        self.store.finish(end.at)
        end.forget()
        if norms:
            self._norms[end.tensor.name] = _total(norms)

    def _learn_end(self, end: End, scale: float) -> None:
        if end.parameter.grad is None:
            return
        weights = self.store.wait(self.store.read_weights(end.at))
        gradient = partial(_part, {end.name: end.parameter.grad})
        self._learner.learn(Lesson(end.at, weights, gradient, self._groups, scale, keep=end.keep))
        end.parameter.grad = None

    def _norm_of(self, gradient: torch.Tensor) -> torch.Tensor:
        """`_norm`, where torch would first make an fp32 copy in fresh memory."""
        if gradient.dtype == torch.float32:
            return _norm(gradient)
        if self._device.type == "cpu":
            pieces, scratch = gradient.reshape(-1).split(CACHED), self.parts.scheme.scratch
            norms = [_norm(scratch.take("norm", piece).copy_(piece)) for piece in pieces]
        else:
            norms = [_norm(piece) for piece in gradient.reshape(-1).split(HELD_NUMBERS)]
        return _total(norms) if len(norms) > 1 else norms[0]


def _part(gradients: dict[str, torch.Tensor], tensor: StoredTensor, first: int, end: int) -> torch.Tensor:
    return gradients[tensor.name].reshape(-1)[first:end]


def _of_tile(gradient: torch.Tensor, start: int) -> Gradient:
    flat = gradient.reshape(-1)
    return lambda tensor, first, end: flat[first - start : end - start]


def _add_up(sums: dict[str, torch.Tensor], gradients: dict[str, torch.Tensor]) -> None:
    """Micro-batches add up in fp32; 16 bits would swallow the small ones."""
    for name, gradient in gradients.items():
        if name in sums:
            sums[name].add_(gradient)
        else:
            sums[name] = gradient.to(torch.float32, copy=True)


def _norm(gradient: torch.Tensor) -> torch.Tensor:
    """One pass without temporaries; not a number or infinite when any of it is (the overflow check)."""
    return torch.linalg.vector_norm(gradient, dtype=torch.float32)


def _total(norms: list[torch.Tensor]) -> torch.Tensor:
    return torch.linalg.vector_norm(torch.stack(norms))


def _slow(made: Made) -> events.Notice:
    return events.Notice(
        severity="warning",
        text=f"This drive writes {human_bytes(made.rate)} a second, which no SSD at hand does: each step will wait.",
        hint="Put the project on an NVMe drive inside this computer; not on a network or a rotating one.",
    )


def _notices(loop: Loop, store: Store) -> list[events.Notice]:
    found = []
    if not store.is_direct:
        text = "This drive's file system knows no direct input and output: weights also pass through the page cache."
        found.append(events.Notice(severity="warning", text=text, hint="It works, but slower and with less spare RAM."))
    if loop.accelerator.device.type == "cpu" and fused_update.library() is None:
        text = "The compiled update is not there: torch updates weights, which takes three to seven times as long."
        found.append(events.Notice(text=text, hint="tunesmith doctor says why, and what to do."))
    if loop.train.early_stopping:
        text = "A streamed run keeps one state of its weights: stopped early, it ends with its last, not its best."
        found.append(events.Notice(severity="warning", text=text))
    if loop.plan.spec.optimizer.key != "adamw":
        text = "How state is kept is the scheme's matter here: the choice of optimizer does not count."
        found.append(events.Notice(severity="warning", text=text, hint="Choose method.scheme instead."))
    return found
