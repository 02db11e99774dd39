"""The run that is training now, in the few figures that the whole window shows: how far, how long, how well."""

from __future__ import annotations

import math
from collections import deque

from PySide6.QtCore import QObject, QTimer, Signal

from studio.gui.run_feed import RunFeed
from studio.project.lines import file_size
from studio.project.run_facts import read_run_facts
from studio.project.runs import Run
from studio.project.state import RunState
from studio.protocol import events

_STEPS_FOR_PACE = 40
_TELL_MS = 100  # as often as the Train page, so that both say the same step
_TAIL_BYTES = 24_000


class LiveRun(QObject):
    """A run that trains.

    Signals:
        changed(): a figure is another (at most ten times a second).
        ended(): its worker has said its last word, or is gone.
    """

    changed = Signal()
    ended = Signal()

    def __init__(self, run: Run, state: RunState, parent: QObject | None = None) -> None:
        """Follow a run from its `state` on."""
        super().__init__(parent)
        self.run = run
        self.title = run.name
        self.phase = "Starting"
        self.step, self.total, self.loss = state.step, state.total, state.loss
        self.has_ended = False
        self._pace: deque[float] = deque(maxlen=_STEPS_FOR_PACE)
        # What was told before is in `state`: decoding all of a long run again would take the window seconds.
        self._feed = RunFeed(run, self, offset=max(0, file_size(run.events_path) - _TAIL_BYTES) if state.step else 0)
        self._feed.arrived.connect(self._on_arrived)
        self._feed.ended.connect(self._on_ended)
        self._feed.vanished.connect(self._on_ended)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TELL_MS)
        self._timer.timeout.connect(self.changed)

    def start(self) -> None:
        """Begin to follow."""
        self.title = read_run_facts(self.run).title  # milliseconds: one small file
        self._feed.start()

    def stop(self) -> None:
        """Follow no more."""
        self._feed.stop()
        self._timer.stop()

    @property
    def share(self) -> float | None:
        """How far it is, 0 to 1; None before the number of steps is known."""
        return self.step / self.total if self.total else None

    @property
    def seconds_left(self) -> float:
        """By the pace of the last steps; not-a-number before there are some."""
        if not self._pace or not self.total:
            return math.nan
        return sum(self._pace) / len(self._pace) * (self.total - self.step)

    def _on_arrived(self, batch: list[events.Event]) -> None:
        for event in batch:
            self._take(event)
        if not self._timer.isActive():
            self._timer.start()

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.Hello):
            self.step, self.total = event.step, event.total_steps or self.total
            self._pace.clear()
        elif isinstance(event, events.Phase):
            self.phase = event.name
            if event.unit == "steps":
                self.total = int(event.total)
        elif isinstance(event, events.Step):
            self.step, self.loss = event.step, event.loss
            self._pace.append(event.seconds)

    def _on_ended(self, *_: object) -> None:
        self.has_ended = True
        self.stop()
        self.changed.emit()
        self.ended.emit()
