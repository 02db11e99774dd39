"""Turns blocks of a model on and off between steps: only those that are on have gradients, fp32 weights and state.

The trap (LMFlow #726 and #729, ms-swift PR 10140): frozen before the optimizer is built, later blocks never learn;
thawed inside the loop, the state of all of them piles up. So the optimizer is built over everything, blocks are turned
on and off between steps, and what a block leaves behind in the optimizer goes when it is frozen again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studio.engine.choosers import Chooser
from studio.engine.driver import Driver
from studio.engine.parking import Left, moved, open_parking
from studio.engine.prepared import Base
from studio.engine.rounding import round_at_random
from studio.protocol import events

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows

Block = dict[str, nn.Parameter]


class BlockDriver(Driver):
    """Turns blocks on and off.

    Frozen weights are in the run's own dtype, trained ones in fp32. A checkpoint keeps the former in the model's folder
    and the latter in this driver's state.

    Args:
        base: what the method was given.
        blocks: the parameters of each, by name.
        chooser: chooses among them.
        always: parameters trained throughout.
        interval: optimizer steps between choices; 0 chooses once.
        left: what becomes of the optimizer state of frozen blocks: dropped, moved to RAM or the disk, or kept in place.
        dtype: what frozen weights are kept in, where it is not the run's own.
        layer_of: the decoder layer of each block, where blocks are not the layers themselves; None for what is in none.
        stand_ins: what the optimizer sees in the place of a parameter, by name, where it is not the parameter itself.
    """

    def __init__(
        self,
        base: Base,
        blocks: list[Block],
        *,
        chooser: Chooser,
        always: Block,
        interval: int,
        left: Left = "drop",
        layer_of: Sequence[int | None] | None = None,
        stand_ins: dict[str, nn.Parameter] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.blocks, self.always = blocks, always
        self.active: list[int] = []
        self._dtype: torch.dtype = dtype or getattr(torch, base.dtype)
        self._chooser, self._interval = chooser, interval
        self._keeps_state, self.parking = left == "keep", open_parking(left, base)
        self._layer_of: list[int | None] = list(layer_of or range(len(blocks)))
        self._stand_ins = stand_ins or {}
        self._turns = [0] * len(blocks)
        # Its own, so that the order of rows and dropout are those of any other method.
        self._generator = torch.Generator().manual_seed(base.seed + 0x115A)
        self._noise = torch.Generator(base.device).manual_seed(base.seed + 0x115B)

    def begin(self, loop: Loop) -> None:
        """Freeze the blocks; the optimizer knows them all by now."""
        self._loop = loop
        self._make_exact(self.always, {})
        for block in self.blocks:
            for parameter in block.values():
                parameter.requires_grad_(False)
        self._chooser.begin(loop)
        if loop.progress.step == 0:
            self._warn_of_few_turns()

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """Choose anew when it is time."""
        self._chooser.observe(number, rows, self._generator)
        if not self.active or (self._interval and (number - 1) % self._interval == 0):
            before = self.active
            self._switch(self._chooser.choose(self._generator))
            for at in self.active:
                self._turns[at] += 1
            if self.active != before:
                self._tell(number)

    def state(self) -> dict[str, Any]:
        """Draws, choice, parked optimizer state, and exact values of what is trained now."""
        trained = [self.always, *(self.blocks[at] for at in self.active)]
        is_short = self._dtype != torch.float32
        return {
            "generator": self._generator.get_state(),
            "noise": self._noise.get_state(),
            "active": self.active,
            "turns": self._turns,
            "chooser": self._chooser.state(),
            "parked": self.parking.state(),
            "exact": {name: p.detach() for block in trained for name, p in block.items()} if is_short else {},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """As it was."""
        self._generator.set_state(state["generator"])
        self._noise.set_state(state["noise"])
        self._chooser.load_state(state["chooser"])
        self.parking.load_state(state["parked"])
        self.active = list(state["active"])
        self._turns = list(state["turns"])
        for block in (self.always, *(self.blocks[at] for at in self.active)):
            self._make_exact(block, state["exact"])

    def _switch(self, chosen: list[int]) -> None:
        for at in sorted(set(self.active) - set(chosen)):
            for name, parameter in self.blocks[at].items():
                self._freeze(name, parameter)
        for at in sorted(set(chosen) - set(self.active)):
            for name, parameter in self.blocks[at].items():
                self._thaw(name, parameter)
        self.active = chosen

    def _make_exact(self, block: Block, values: dict[str, torch.Tensor]) -> None:
        """Turn a block's parameters on, in fp32, with these values or their own."""
        for name, parameter in block.items():
            parameter.data = values.get(name, parameter.data).to(parameter.device, torch.float32)
            parameter.requires_grad_(True)

    def _freeze(self, name: str, parameter: nn.Parameter) -> None:
        parameter.requires_grad_(False)
        parameter.grad = None
        parameter.data = round_at_random(parameter.data, self._dtype, self._noise)
        if self._keeps_state:
            return
        state = self._loop.optimizer.state.pop(self._stand_ins.get(name, parameter), {})
        if state:
            self.parking.put(name, state)

    def _thaw(self, name: str, parameter: nn.Parameter) -> None:
        parameter.data = parameter.data.float()
        parameter.requires_grad_(True)
        parked = self.parking.take(name)
        if parked:
            place = self._loop.optimizer.state[self._stand_ins.get(name, parameter)]
            place.update(moved(parked, parameter.device))

    def _tell(self, number: int) -> None:
        touched = {self._layer_of[at] for at in self.active}
        total = 1 + max(at for at in self._layer_of if at is not None)
        turns = [0] * total
        for layer, count in zip(self._layer_of, self._turns, strict=True):
            if layer is not None:
                turns[layer] = max(turns[layer], count)
        self._loop.emit(
            events.Layers(
                step=number,
                active=sorted(at for at in touched if at is not None),
                total=total,
                others=bool(self.always) or None in touched,
                turns=turns,
            )
        )

    def _warn_of_few_turns(self) -> None:
        """Most of a model that never has its turn stays as it was, and nothing else would tell."""
        share = self._chooser.share
        if not self._interval or not share or share == 1:
            return
        turns = math.ceil(self._loop.plan.total_steps / self._interval) * share
        if turns < 2:
            text = f"Each layer will be trained about {turns:.1f} times in this run, some perhaps never."
            hint = "Lower method.interval, or train for longer."
            self._loop.emit(events.Notice(severity="warning", text=text, hint=hint))
