"""Follows a run's events in small bites, so that a long history or a flood never blocks the window."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, QTimer, Signal

from studio.project.journal import EventReader
from studio.project.lines import file_size
from studio.project.runs import Run
from studio.protocol import events

_BITE_BYTES = 24_000  # about a hundred events, five milliseconds of decoding
_POLL_MS = 100
_GONE_SECONDS = 3.0


class RunFeed(QObject):
    """Events of a run as they come, from the first one on.

    Signals:
        arrived(list): events, in order; never an empty list.
        caught_up(): everything written so far was told; after this come live events.
        ended(object): the last word (Done or Failed), None when the worker is gone without one.
        vanished(): the run's folder was deleted.
    """

    arrived = Signal(list)
    caught_up = Signal()
    ended = Signal(object)
    vanished = Signal()

    def __init__(self, run: Run, parent: QObject | None = None, *, offset: int = 0) -> None:
        """Follow a run.

        Args:
            offset: bytes of its events to pass over.
        """
        super().__init__(parent)
        self.run = run
        self._reader = EventReader(run.events_path, offset)
        self._last: events.Event | None = None
        self._is_live = False
        self._has_ended = False
        self._quiet_since = time.monotonic()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_tick)

    @property
    def num_skipped(self) -> int:
        """Lines that were no event this version knows."""
        return self._reader.num_skipped

    @property
    def quiet_seconds(self) -> float:
        """How long nothing was said."""
        return time.monotonic() - self._quiet_since

    def start(self) -> None:
        """Begin to follow."""
        self._timer.start(0)

    def stop(self) -> None:
        """Follow no more."""
        self._timer.stop()

    def _on_tick(self) -> None:
        if not self.run.spec_path.exists():
            self.vanished.emit()
            return
        before = self._reader.offset
        batch = self._reader.poll(_BITE_BYTES)
        if batch:
            self._take(batch)
        if before < self._reader.offset < file_size(self.run.events_path):
            self._timer.start(0)
            return
        if not self._is_live:
            self._is_live = True
            self.caught_up.emit()
        self._look_for_end()
        self._timer.start(_POLL_MS)

    def _take(self, batch: list[events.Event]) -> None:
        self._last = batch[-1]
        self._quiet_since = time.monotonic()
        if any(isinstance(event, events.Hello) for event in batch):
            self._has_ended = False
        self.arrived.emit(batch)

    def _look_for_end(self) -> None:
        if self._has_ended:
            return
        if isinstance(self._last, events.Done | events.Failed):
            self._has_ended = True
            self.ended.emit(self._last)
        elif self.quiet_seconds > _GONE_SECONDS and not self.run.is_running():
            self._has_ended = True
            self.ended.emit(None)
