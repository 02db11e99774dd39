"""Where a run stands, gathered from its events: what a progress line says. Nothing is printed here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from studio.protocol import events
from studio.sizes import human_seconds

_WINDOW = 20  # steps that speed and time left are judged by


@dataclass
class Pace:
    """Figures of the run so far."""

    step: int = 0
    total: int = 0
    loss: float = float("nan")
    learning_rate: float = 0.0
    held_out: float | None = None
    trained_tokens: int = 0
    recent: deque[events.Step] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    _first: events.Step | None = None
    _busy_seconds: float = 0.0

    def take(self, event: events.Event) -> None:
        """Take in one event."""
        if isinstance(event, events.Hello):
            self.step, self.total = event.step, event.total_steps or self.total
            self._first, self._busy_seconds = None, 0.0
            self.recent.clear()
        elif isinstance(event, events.Phase) and event.unit == "steps":
            self.total = int(event.total)
        elif isinstance(event, events.Step):
            self._take_step(event)
        elif isinstance(event, events.Eval):
            self.held_out = event.loss

    @property
    def tokens_per_second(self) -> float:
        """Over the last steps."""
        seconds = sum(step.seconds for step in self.recent)
        return sum(step.tokens for step in self.recent) / seconds if seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None while it cannot be known."""
        if not self.recent or self.total <= self.step:
            return None
        each = sum(step.seconds for step in self.recent) / len(self.recent)
        return (self.total - self.step) * (each + self._seconds_between())

    @property
    def measured_seconds(self) -> float:
        """How long this session's steps have been measured for: below a minute the time left is a guess."""
        return self.recent[-1].time - self._first.time if self._first and self.recent else 0.0

    def figures(self) -> str:
        """One line: loss, held-out loss, learning rate, speed, time left."""
        parts = [f"loss {self.loss:.4f}"]
        if self.held_out is not None:
            parts.append(f"held-out {self.held_out:.4f}")
        parts += [f"lr {self.learning_rate:.2e}", f"{self.tokens_per_second:,.0f} tok/s"]
        if (left := self.seconds_left) is not None:
            parts.append(f"{human_seconds(left)} left")
        return " · ".join(parts)

    def _take_step(self, event: events.Step) -> None:
        self.step, self.loss, self.learning_rate = event.step, event.loss, event.learning_rate
        self.trained_tokens += event.trained_tokens
        if self._first is None:
            self._first = event
        else:
            self._busy_seconds += event.seconds
        self.recent.append(event)

    def _seconds_between(self) -> float:
        """Evaluations and checkpoints, shared out over this session's steps: they will come again."""
        if self._first is None or self.step <= self._first.step:
            return 0.0
        return max(0.0, self.measured_seconds - self._busy_seconds) / (self.step - self._first.step)
