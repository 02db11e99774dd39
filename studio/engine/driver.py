"""What a method may do while the loop runs: which weights learn now, how gradients come about, what it remembers.

The loop calls these hooks and nothing else of a method. Not here: any method's own way (see the files that use it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows


class Driver:
    """A method's hand on the loop. As it stands it does nothing.

    A driver may turn parameters on and off between steps. So its model is not wrapped for several processes (the
    wrapper would wait for gradients that never come): the loop averages gradients itself, after `gradient`.

    Attributes:
        measured_tokens: of held-out micro-batches that are measured in one go; 0 measures each alone.
        recomputes: whether no layer's activations wait for the way back, so that checkpointing them would save nothing.
    """

    measured_tokens = 0
    recomputes = False

    def begin(self, loop: Loop) -> None:
        """Called once, when the optimizer knows every parameter that may ever be trained."""

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """Called before the first forward of step `number` (1 for the first), with the step's micro-batches."""

    def gradient(self, loop: Loop, rows: list[Rows], trained: float) -> float:
        """Leave gradients behind for the optimizer; the step's mean loss over `trained` tokens."""
        return loop.accumulate(rows, trained)

    def measure(self, loop: Loop, rows: list[Rows]) -> float:
        """Summed loss of some micro-batches, without gradient."""
        return loop.measure(rows)

    def take_back(self) -> bool:
        """Memory ran out in `gradient` or `measure`: let go of what is left of it. True if the gradient can be computed
        again, from the same rows in smaller pieces and to the same result. Accumulated gradients are gone already.
        """
        return True

    def give_way(self) -> str:
        """What else of a step can take less of a card, done; in words, "" when there is nothing."""
        return ""

    def gradient_size(self) -> float | None:
        """The gradient's length where the optimizer sees none, for the record; None when it is the loop's matter."""
        return None

    def waited(self) -> float:
        """Seconds that the step which just ended waited for a drive."""
        return 0.0

    def after_step(self, rate: float) -> None:
        """Called when the optimizer has stepped at `rate` and gradients are gone."""

    def state(self) -> dict[str, Any]:
        """Everything a resumed run must know, as tensors and plain values."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave; called after `begin`, before the optimizer gets its own state back."""


class Several(Driver):
    """Drivers one after the other, as one. The first of them computes the gradient."""

    def __init__(self, *drivers: Driver) -> None:
        self._drivers = drivers

    def begin(self, loop: Loop) -> None:
        """All of them."""
        for driver in self._drivers:
            driver.begin(loop)

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """All of them."""
        for driver in self._drivers:
            driver.before_step(number, rows)

    def gradient(self, loop: Loop, rows: list[Rows], trained: float) -> float:
        """The first one's."""
        return self._drivers[0].gradient(loop, rows, trained)

    def take_back(self) -> bool:
        """Likewise."""
        return self._drivers[0].take_back()

    def give_way(self) -> str:
        """Likewise."""
        return self._drivers[0].give_way()

    def after_step(self, rate: float) -> None:
        """All of them."""
        for driver in self._drivers:
            driver.after_step(rate)

    def state(self) -> dict[str, Any]:
        """Of each."""
        return {"drivers": [driver.state() for driver in self._drivers]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Of each."""
        for driver, own in zip(self._drivers, state["drivers"], strict=True):
            driver.load_state(own)
