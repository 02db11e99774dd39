"""What a worker can find out on this computer: the draft's peak exactly, and how fast the computer is."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from studio.errors import Cancelled, UserError
from studio.gui.context import Context
from studio.gui.tasks import JobTask
from studio.protocol.events import Event, Phase


class Prober(QObject):
    """One look at a time. What it finds is remembered on this computer, and every forecast reads it from there.

    Signals:
        changed(): it began, is further, or ended.
        found(): forecasts are to be asked anew.
    """

    changed = Signal()
    found = Signal()

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._job: JobTask | None = None
        self.words = ""

    @property
    def is_busy(self) -> bool:
        """Whether one is on its way."""
        return self._job is not None

    def trace_step(self) -> None:
        """Trace one step of the draft through the model's own code, or measure it on the card."""
        spec = self._context.session.placed_spec
        if spec is not None:
            self._start("probe", {"spec": spec.model_dump(mode="json")})

    def measure_speeds(self) -> None:
        """Measure this computer once, so that times can be foretold."""
        self._start("speeds", {})

    def _start(self, job: str, arguments: dict[str, Any]) -> None:
        if self.is_busy:
            return
        self._say("Getting ready")
        self._job = self._context.tasks.job(
            job,
            arguments,
            on_event=self._on_event,
            on_done=self._on_done,
            on_error=self._on_error,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """End it."""
        if self._job is not None:
            self._job.close()
            self._end()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Phase):
            self._say(event.name)

    def _on_done(self) -> None:
        self._end()
        self.found.emit()

    def _on_error(self, error: Exception) -> None:
        self._end()
        if isinstance(error, UserError):
            self._context.notify(error.message, error.hint, "warn")
        elif not isinstance(error, Cancelled):
            self._context.notify("It could not be found out.", str(error), "danger")

    def _end(self) -> None:
        self._job = None
        self._say("")

    def _say(self, words: str) -> None:
        self.words = words
        self.changed.emit()
