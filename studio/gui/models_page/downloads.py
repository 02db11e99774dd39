"""Downloads on their way: each is a process of its own, can be paused, and goes on where it stopped."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from PySide6.QtCore import QObject, Signal

from studio.errors import Cancelled
from studio.gui.context import Context
from studio.gui.figures import UNKNOWN, duration, gigabytes
from studio.gui.tasks import JobTask
from studio.protocol.events import Event, Phase

_WINDOW_SECONDS = 5.0
_MEASURED_SECONDS = 1.0

State = Literal["running", "paused", "failed", "done"]


@dataclass(frozen=True)
class Progress:
    """How far a download is.

    Attributes:
        done, total: bytes; 0 while not known.
        speed: bytes a second over the last moments, 0 until measured.
        problem: why it failed, with the way out.
    """

    state: State = "running"
    done: float = 0.0
    total: float = 0.0
    speed: float = 0.0
    problem: str = ""

    @property
    def share(self) -> float | None:
        """Of all bytes, None while not known."""
        return self.done / self.total if self.total else None

    def words(self) -> str:
        """'1.2 of 8.1 GB, 34 MB/s, 3 min left'."""
        if self.state == "failed":
            return self.problem
        if not self.total:
            return "Asking the Hub"
        amount = f"{gigabytes(self.done)} of {gigabytes(self.total)}"
        if self.state == "paused":
            return f"Paused at {amount}"
        left = duration((self.total - self.done) / self.speed) if self.speed else ""
        speed = f"{gigabytes(self.speed)}/s, {left} left" if self.speed else f"speed {UNKNOWN}"
        return f"{amount}, {speed}"


class Downloads(QObject):
    """All downloads of this window.

    Signals:
        changed(str): a download is further, or in another state.
        finished(str): a model is here.
    """

    changed = Signal(str)
    finished = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._context = context
        self.clock: Callable[[], float] = time.monotonic
        self._jobs: dict[str, JobTask] = {}
        self._marks: dict[str, deque[tuple[float, float]]] = {}
        self.progress: dict[str, Progress] = {}

    def start(self, name: str) -> None:
        """Begin, or go on with, a download."""
        if name in self._jobs:
            return
        before = self.progress.get(name, Progress())
        self._marks[name] = deque()
        self._set(name, replace(before, state="running", speed=0.0, problem=""))
        self._jobs[name] = self._context.tasks.job(
            "download",
            {"source": name},
            on_event=lambda event: self._on_event(name, event),
            on_done=lambda: self._on_done(name),
            on_error=lambda error: self._on_error(name, error),
        )

    def pause(self, name: str) -> None:
        """Stop for now; what came over is kept."""
        job = self._jobs.pop(name, None)
        if job is not None:
            job.close()
            self._set(name, replace(self.progress[name], state="paused"))

    def forget(self, name: str) -> None:
        """Show a paused or failed download no more."""
        self.pause(name)
        self.progress.pop(name, None)
        self.changed.emit(name)

    def is_running(self, name: str) -> bool:
        """Whether a model is on its way."""
        return name in self._jobs

    def _on_event(self, name: str, event: Event) -> None:
        if isinstance(event, Phase) and event.unit == "bytes" and name in self._jobs:
            speed = self._speed(name, event.done)
            self._set(name, replace(self.progress[name], done=event.done, total=event.total, speed=speed))

    def _on_done(self, name: str) -> None:
        if self._jobs.pop(name, None) is not None:
            self._set(name, replace(self.progress[name], state="done"))
            self.progress.pop(name)
            self._context.notify(f"{name} is here.", tone="good")
            self.finished.emit(name)

    def _on_error(self, name: str, error: Exception) -> None:
        if self._jobs.pop(name, None) is None:
            return
        if isinstance(error, Cancelled):
            self._set(name, replace(self.progress[name], state="paused"))
        else:
            self._set(name, replace(self.progress[name], state="failed", problem=str(error)))

    def _speed(self, name: str, done: float) -> float:
        """Over the last seconds; what an earlier try brought is no speed."""
        marks, now = self._marks[name], self.clock()
        marks.append((now, done))
        while marks[0][0] < now - _WINDOW_SECONDS:
            marks.popleft()
        seconds = now - marks[0][0]
        return max(0.0, (done - marks[0][1]) / seconds) if seconds >= _MEASURED_SECONDS else 0.0

    def _set(self, name: str, progress: Progress) -> None:
        self.progress[name] = progress
        self.changed.emit(name)


def downloads_of(context: Context) -> Downloads:
    """The window's downloads: they go on while pages and dialogs come and go."""
    found = context.findChild(Downloads)
    return found if isinstance(found, Downloads) else Downloads(context)
