"""Layers that learn by turns while the others only pass through: LISA's draws and BAdam's rounds over a store.

What is not in turn costs no state on the drive's way and no writing. State of a layer that rests stays in its file
until the next turn, which costs nothing; so each layer counts its own steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from studio.engine.choosers import Chooser, Cycle, Draw
from studio.protocol import events

if TYPE_CHECKING:
    from studio.engine.loop import Loop

Kind = Literal["all", "drawn", "turns"]


class Turns:
    """Who learns now.

    Args:
        kind: all layers always; some drawn anew; one after the other.
        total: layers there are.
        count: layers drawn at once.
        interval: steps between choices.
        seed: of the draws.

    Attributes:
        active: numbers of the layers that learn, ascending.
        at_once: how many those are.
        steps: how many steps each layer has learned.
    """

    def __init__(self, kind: Kind, total: int, *, count: int, interval: int, seed: int) -> None:
        self.active = list(range(total))
        self.steps = [0] * total
        self._chooser: Chooser | None = None
        if kind != "all":
            self._chooser = Draw(min(count, total), total) if kind == "drawn" else Cycle(total, "random")
            self.active = []
        self.at_once = total if self._chooser is None else max(1, round((self._chooser.share or 0) * total))
        self._interval = interval
        self._drawn = [0] * total
        self._generator = torch.Generator().manual_seed(seed + 0x115A)

    def begin_step(self, loop: Loop, number: int) -> None:
        """Choose anew when it is time, and say so."""
        if self._chooser is None or (self.active and (number - 1) % self._interval):
            return
        before, self.active = self.active, sorted(self._chooser.choose(self._generator))
        for at in self.active:
            self._drawn[at] += 1
        if self.active != before:
            total, drawn = len(self._drawn), list(self._drawn)
            loop.emit(events.Layers(step=number, active=self.active, total=total, others=False, turns=drawn))

    def end_step(self) -> None:
        """Those in turn have learned once more."""
        for at in self.active:
            self.steps[at] += 1

    def state(self) -> dict[str, Any]:
        """Draws and counts."""
        return {
            "active": self.active,
            "steps": self.steps,
            "drawn": self._drawn,
            "generator": self._generator.get_state(),
            "chooser": self._chooser.state() if self._chooser else {},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        self.active, self.steps, self._drawn = list(state["active"]), list(state["steps"]), list(state["drawn"])
        self._generator.set_state(state["generator"])
        if self._chooser:
            self._chooser.load_state(state["chooser"])
