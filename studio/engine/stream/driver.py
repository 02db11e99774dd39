"""Full fine-tuning streamed: layers pass through one at a time, forward, back, and straight into their update.

How they pass: see `vertical.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
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
from studio.engine.stream.spill import Spill, unused
from studio.engine.stream.store import Store
from studio.engine.stream.tiled import TiledEmbedding, TiledEnd, TiledHead
from studio.engine.stream.turns import Turns
from studio.engine.stream.vertical import MEASURED_TOKENS, Vertical
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
        self._spill: Spill | None = None
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
        waits = self._clip.waits
        if waits and self._spill is None:
            adds_up = loop.train.accumulation > 1 or loop.progress.pieces > 1
            kept = torch.float32 if adds_up or self._is_exact(loop) else torch.bfloat16
            units = [*chain(*self.parts.blocks.units), *(end.at for end in self.parts.tiled)]
            self._spill = Spill(self.store, units, kept)
        self._norms.clear()
        lowest = 0 if self.parts.trains_ends else min(self._turns.active)
        under_way = self._vertical.climb(loop, rows, self._turns.active, lowest)
        loss = float(self._vertical.turn(loop, rows, under_way, 1 / trained)) / trained
        for at in reversed(range(lowest, len(self.parts.blocks))):
            then = at - 1 if at > lowest else -1
            if at not in self._turns.active:
                self._vertical.descend(loop, under_way, at, then=then)
                continue
            # First the layer's own pieces are read ahead, then its records.
            self._vertical.bind(loop, at, then=then, train=True)
            if not waits:
                self._learner.prefetch(self.parts.blocks.units[at][-1])
            learned = partial(self._learned, at, several=len(rows) > 1)
            self._vertical.descend(loop, under_way, at, then=then, learned=learned)
        self.parts.blocks.end_descent()
        if self.parts.trains_ends:
            for call, gradient in zip(under_way.calls, under_way.travelling, strict=True):
                call.hidden.backward(gradient)
        self._finish(waits)
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
        if self._spill is not None:
            self.store.traffic.drain()
            self._spill.close()  # micro-batches in pieces add up to gradients of more bits
            self._spill = None
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
        """Let go of the store; gradients that waited on the drive are of no use to anybody."""
        if self._spill is not None:
            self._spill.close()
        unused(self.store.folder)
        self.store.close()
        self._vertical.close()

    def _learns(self, layer: int | None) -> bool:
        return self.parts.trains_ends if layer is None else layer in self._turns.active

    def _step_of(self, name: str, number: int) -> int:
        """The step that a number is at: a layer that learns by turns counts its own."""
        layer = self._layer_of.get(name)
        return number if layer is None else self._turns.steps[layer] + 1

    @torch.no_grad()
    def _learned(self, at: int, unit: int, *, is_last: bool, several: bool) -> None:
        """Take a unit's gradients of one micro-batch; after the last one it learns, or they wait for the others'."""
        gradients = self.parts.blocks.take_gradients(unit)
        if several:
            _add_up(self._sums, gradients)
        if not is_last:
            return
        gradients = {name: self._sums.pop(name) for name in gradients} if several else gradients
        self._norms.update({name: self._norm_of(gradient) for name, gradient in gradients.items()})
        if self._clip.waits:
            assert self._spill is not None
            self.parts.blocks.give_back(unit)  # its memory is as large as what gradients are written from
            self._spill.keep(unit, gradients)
            return
        keep = self._clip.by_layer and not several and len(self.parts.blocks.units[at]) > 1
        self._gathered[unit] = {name: g.clone() for name, g in gradients.items()} if keep else gradients
        del gradients
        if not self._clip.by_layer or len(self._gathered) == len(self.parts.blocks.units[at]):
            norm = _total([self._norms[name] for own in sorted(self._gathered) for name in self._gathered[own]])
            self._learn_gathered(at, self._clip.of_unit(float(norm)))

    def _learn_gathered(self, at: int, scale: float) -> None:
        units = self.parts.blocks.units[at]
        for unit in sorted(self._gathered, reverse=True):
            source = partial(_part, self._gathered.pop(unit))
            self._learner.learn(Lesson(unit, self.parts.blocks.hand_over(unit), source, self._groups, scale))
            if unit > units[0]:
                self._learner.prefetch(unit - 1)

    @torch.no_grad()
    def _finish(self, waits: bool) -> None:
        """What learns last: the ends, the vectors, and everything when gradients had to wait."""
        learning = [tiled for tiled in self.parts.tiled if tiled.learns]
        for tiled in learning:
            self._norms[tiled.tensor.name] = self._keep_tiles(tiled) if waits else self._learn_tiles(tiled, None)
        rest = {end.name: end.parameter for end in self.parts.ends} | self.parts.smalls.parameters
        self._norms.update({name: _norm(p.grad) for name, p in rest.items() if p.grad is not None})
        norm = _total([self._norms[name] for name in self.parts.stand_ins if name in self._norms])
        self._norm = float(norm)
        if waits:
            scale = self._clip.of_all(norm)
            self._learn_spilt(scale)
            for tiled in learning:
                self._learn_tiles(tiled, scale)
        self._can_take_back = False
        for end in self.parts.ends:
            own = scale if waits else self._clip.of_unit(float(self._norms.get(end.name, 0.0)))
            self._learn_end(end, own)
        for name in self.parts.smalls.parameters:
            own = scale if waits else self._clip.of_unit(float(self._norms.get(name, 0.0)))
            self.parts.smalls.learn(name, self._groups[name], own)
        self._clip.learned(self._norm)
        if self._spill is not None and not self._clip.waits:
            self._spill.close()
            self._spill = None

    def _learn_spilt(self, scale: float) -> None:
        assert self._spill is not None
        self.parts.blocks.release()
        units = [*chain(*(self.parts.blocks.units[at] for at in self._turns.active))]
        ahead = [(self.store.read_weights(unit), self._spill.read(unit)) for unit in units[:1]]
        for unit, later in zip_longest(units, units[1:]):
            self._learner.prefetch(unit)
            reading, spilt = ahead.pop()
            if later is not None:
                self._spill.make_room(later)
                ahead.append((self.store.read_weights(later), self._spill.read(later)))
            self._learner.learn(Lesson(unit, self.store.wait(reading), spilt, self._groups, scale))
            spilt.give()

    def _keep_tiles(self, end: TiledEnd) -> torch.Tensor:
        """Gradients of a tiled end to the drive; their length."""
        assert self._spill is not None
        norms = []
        for (first, stop), (_, rows) in zip(end.spans, end.tiles(), strict=True):
            gradient = end.gradient(first, rows.reshape(-1))
            norms.append(_norm(gradient))
            self._spill.keep_tile(end.at, first, stop, gradient)
        end.forget()
        return _total(norms)

    def _learn_tiles(self, end: TiledEnd, scale: float | None) -> torch.Tensor:
        """One step of a tiled end, from kept gradients where the factor is known; the length of its gradient."""
        norms = []
        self._learner.prefetch(end.at)
        for first, stop, weights, numbers in end.read_tiles():
            if scale is None:
                gradient = end.gradient(first, numbers)
                norms.append(_norm(gradient))
                own, source, give = self._clip.of_unit(float(norms[-1])), _of_tile(gradient, first), _nothing
            else:
                assert self._spill is not None
                spilt = self._spill.read(end.at, first, stop)
                own, source, give = scale, spilt, spilt.give
            self._learner.learn_tile(Lesson(end.at, weights, source, self._groups, own, is_tiled=True), first, stop)
            give()
        self.store.finish(end.at)
        end.forget()
        return _total(norms) if norms else torch.zeros(())

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

    def _is_exact(self, loop: Loop) -> bool:
        return loop.train.precision == "fp32"


def _part(gradients: dict[str, torch.Tensor], tensor: StoredTensor, first: int, end: int) -> torch.Tensor:
    return gradients[tensor.name].reshape(-1)[first:end]


def _of_tile(gradient: torch.Tensor, start: int) -> Gradient:
    flat = gradient.reshape(-1)
    return lambda tensor, first, end: flat[first - start : end - start]


def _nothing() -> None:
    """Where there is no buffer to give back."""


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
