"""From the draft to a run that trains: getting ready off the window's thread, and what came of it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.figures import gigabytes
from studio.gui.tasks import Task
from studio.planner.forecast import Forecast
from studio.project.override import record_override
from studio.project.runs import Run


class RunStarter(QObject):
    """Starts one run at a time.

    Signals:
        progressed(str, float): what is being done, and how far (0 to 1, negative while not known).
        ended(): it started, was refused, or was cancelled.
        started(): it trains.
        refused(str): the path of the first setting in the way; "" when it is none.
    """

    progressed = Signal(str, float)
    ended = Signal()
    started = Signal()
    refused = Signal(str)

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._task: Task | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a run is being made ready."""
        return self._task is not None

    def start(self, overridden: Forecast | None, reason: str) -> None:
        """Freeze the draft in a run and train it.

        Args:
            overridden: the forecast against which it is started, None when it fits; kept in the run's folder.
            reason: that forecast's sentence.
        """
        if self.is_busy:
            return

        def keep(run: Run) -> None:
            if overridden is not None:
                record_override(run, reason, peak_bytes=overridden.peak_bytes, limit_bytes=overridden.limit_bytes)

        self.progressed.emit("Getting ready", -1.0)
        self._task = self._context.session.start_run(
            on_made=keep,
            on_started=self._on_started,
            on_error=self._on_refused,
            on_progress=self._on_progress,
            may_wear=overridden is not None,
        )

    def cancel(self) -> None:
        """Let go of it; what was downloaded is kept."""
        if self._task is not None:
            self._task.cancel()
            self._end()

    def _on_progress(self, done: float, total: float, text: str) -> None:
        if total:
            self.progressed.emit(f"Downloading {text}: {gigabytes(done)} of {gigabytes(total)}", done / total)
        else:
            self.progressed.emit(text or "Getting ready", -1.0)

    def _on_started(self, run: Run) -> None:
        self._end()
        self.started.emit()

    def _on_refused(self, error: Exception) -> None:
        self._end()
        title, hint, path = _told(error)
        action = ("Look at it", lambda: self.refused.emit(path)) if path else None
        self._context.notify(title, hint, "danger", action)

    def _end(self) -> None:
        self._task = None
        self.ended.emit()


def _told(error: Exception) -> tuple[str, str, str]:
    """What happened, what to do, and the path of the setting that is in the way."""
    if not isinstance(error, UserError):
        return "Training did not start.", str(error), ""
    if error.problems:
        first = error.problems[0]
        return first.message, first.hint, first.path
    return error.message, error.hint, ""
