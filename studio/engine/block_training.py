"""Trains a few blocks of a model at a time: only they have gradients, fp32 weights and optimizer state.

The trap (LMFlow #726 and #729, ms-swift PR 10140): frozen before the optimizer is built, later blocks never learn;
thawed inside the loop, the state of all of them piles up. So the optimizer is built over everything, blocks are turned
on and off between steps, and what a block leaves behind in the optimizer goes when it is frozen again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studio.engine.adapters import checkpoint_activations
from studio.engine.choosers import Chooser
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

Block = dict[str, nn.Parameter]


def prepare_layers(
    base: Base, make_chooser: Callable[[Any, Layers], Chooser], *, interval: int, others: bool, parks_state: bool
) -> Prepared:
    """A model whose decoder layers are trained by turns.

    Args:
        make_chooser: (model, its layers) -> who chooses among them.
        interval: optimizer steps between choices; 0 chooses once.
        others: train embedding, head and last norm throughout.
        parks_state: keep the optimizer state of frozen layers in RAM instead of dropping it.
    """
    model = load_for_blocks(base)
    layers = take_apart(model)
    driver = BlockDriver(
        base,
        layers.blocks,
        chooser=make_chooser(model, layers),
        always=layers.others if others else {},
        interval=interval,
        parks_state=parks_state,
    )
    return prepare_blocks(model, base, driver)


def load_for_blocks(base: Base) -> Any:
    """The model in the run's own dtype, everything frozen."""
    model: Any = load_base(base.resume or base.folder, dtype=base.dtype, device=base.device)
    model.requires_grad_(False)
    if base.activation_checkpointing:
        checkpoint_activations(model)
    return model


def prepare_blocks(model: Any, base: Base, driver: BlockDriver) -> Prepared:
    """What the loop gets: the optimizer sees all that may ever be trained."""
    for block in (driver.always, *driver.blocks):
        for parameter in block.values():
            parameter.requires_grad_(True)
    return Prepared(
        model=model,
        save_weights=model_saver(model, base, kept=getattr(torch, base.dtype)),
        is_exact=base.dtype == "float32",
        driver=driver,
    )


class BlockDriver(Driver):
    """Turns blocks on and off.

    Frozen weights are in the run's own dtype, trained ones in fp32. A checkpoint keeps the former in the model's folder
    and the latter beside it; they are put in when the loop begins, for until then the model is of one dtype.

    Args:
        base: what the method was given.
        blocks: the parameters of each, by name.
        chooser: chooses among them.
        always: parameters trained throughout.
        interval: optimizer steps between choices; 0 chooses once.
        parks_state: keep the optimizer state of frozen blocks in RAM instead of dropping it.
        layer_of: the decoder layer of each block, where blocks are not the layers themselves.
    """

    def __init__(
        self,
        base: Base,
        blocks: list[Block],
        *,
        chooser: Chooser,
        always: Block,
        interval: int,
        parks_state: bool = False,
        layer_of: list[int] | None = None,
    ) -> None:
        self.blocks, self.always = blocks, always
        self.active: list[int] = []
        self._exact = base.trainable
        self._dtype = getattr(torch, base.dtype)
        self._chooser, self._interval, self._parks_state = chooser, interval, parks_state
        self._layer_of = layer_of or list(range(len(blocks)))
        self._parked: dict[str, dict[str, Any]] = {}
        # Its own, so that the order of rows and dropout are those of any other method.
        self.generator = torch.Generator().manual_seed(base.seed + 0x115A)

    def begin(self, loop: Loop) -> None:
        """Freeze the blocks; the optimizer knows them all by now."""
        self._loop = loop
        self._make_exact(self.always)
        for block in self.blocks:
            for parameter in block.values():
                parameter.requires_grad_(False)
        self._chooser.begin(loop)

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """Choose anew when it is time."""
        self._chooser.observe(number, rows, self.generator)
        if not self.active or (self._interval and (number - 1) % self._interval == 0):
            self._switch(self._chooser.choose(self.generator))
            self._tell(number)

    def state(self) -> dict[str, Any]:
        """Draws, choice, and parked optimizer state."""
        return {
            "generator": self.generator.get_state(),
            "active": self.active,
            "chooser": self._chooser.state(),
            "parked": self._parked,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """As it was; the weights of active blocks are exact already."""
        self.generator.set_state(state["generator"])
        self._chooser.load_state(state["chooser"])
        self._parked = state["parked"]
        self.active = list(state["active"])
        for at in self.active:
            self._make_exact(self.blocks[at])
        self._exact = {}

    def optimised(self, name: str, parameter: nn.Parameter) -> nn.Parameter:
        """What stands for a block's parameter in the optimizer."""
        return parameter

    def _switch(self, chosen: list[int]) -> None:
        for at in sorted(set(self.active) - set(chosen)):
            for name, parameter in self.blocks[at].items():
                self._freeze(name, parameter)
        for at in sorted(set(chosen) - set(self.active)):
            for name, parameter in self.blocks[at].items():
                self._thaw(name, parameter)
        self.active = chosen

    def _make_exact(self, block: Block) -> None:
        for name, parameter in block.items():
            exact = self._exact.get(name, parameter.data)
            parameter.data = exact.to(parameter.device, torch.float32)
            parameter.requires_grad_(True)

    def _freeze(self, name: str, parameter: nn.Parameter) -> None:
        parameter.requires_grad_(False)
        parameter.grad = None
        parameter.data = round_at_random(parameter.data, self._dtype, self.generator)
        left = self._loop.optimizer.state.pop(self.optimised(name, parameter), {})
        if self._parks_state and left:
            self._parked[name] = {key: _to(value, torch.device("cpu")) for key, value in left.items()}

    def _thaw(self, name: str, parameter: nn.Parameter) -> None:
        parameter.data = parameter.data.float()
        parameter.requires_grad_(True)
        parked = self._parked.pop(name, None)
        if parked:
            place = self._loop.optimizer.state[self.optimised(name, parameter)]
            place.update({key: _to(value, parameter.device) for key, value in parked.items()})

    def _tell(self, number: int) -> None:
        layers = sorted({self._layer_of[at] for at in self.active})
        total = max(self._layer_of) + 1
        self._loop.emit(events.Layers(step=number, active=layers, total=total, others=bool(self.always)))


def _to(value: Any, device: torch.device) -> Any:
    """A piece of optimizer state on a device."""
    return value.to(device) if torch.is_tensor(value) else value
