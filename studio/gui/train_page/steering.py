"""What a person asks of a run: pause, resume, stop, save, change its settings, end a worker that does not listen."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, QTimer, Signal

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import ask
from studio.gui.tasks import Control
from studio.gui.train_page.run_watch import RunWatch
from studio.project.ending import end_worker
from studio.project.folder import Project
from studio.project.run_keeping import reproduction
from studio.project.runs import Run
from studio.project.starting import check_unchanged
from studio.protocol import commands
from studio.spec.run_spec import RunSpec
from studio.spec.values import set_values

_DEAF_MS = 45_000  # a worker looks after each step; one that has not answered by then may never
_COMMANDS: dict[str, type[commands.Command]] = {
    "pause": commands.Pause,
    "stop": commands.Stop,
    "save": commands.Save,
}


class Steering(QObject):
    """Tells one run at a time.

    Signals:
        asked(object): key of the command that is on its way, None once it is answered.
        resuming(bool): a worker is being started for the run.
    """

    asked = Signal(object)
    resuming = Signal(bool)

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._watch: RunWatch | None = None
        self._pending = ""
        self._pending_since = 0.0
        self._deaf = QTimer(self, singleShot=True, interval=_DEAF_MS)
        self._deaf.timeout.connect(self._on_deaf)

    def set_watch(self, watch: RunWatch | None) -> None:
        """Whose wheel it is."""
        self._watch = watch
        self._answered()

    def tell(self, key: str) -> None:
        """Ask the run to pause, stop or save."""
        if self._watch is None or self._watch.status != "running" or self._pending:
            return
        try:
            self._context.session.tell(self._watch.run, _COMMANDS[key]())
        except OSError as error:
            self._context.notify("The run could not be told", str(error), "danger")
            return
        self._pending, self._pending_since = key, time.time()
        self._deaf.start()
        self.asked.emit(key)

    def notice(self) -> None:
        """The run has moved: see whether it has done what it was asked."""
        if not self._pending or self._watch is None:
            return
        has_saved = max(self._watch.curves.checkpoints.values(), default=0.0) >= self._pending_since
        if self._watch.status != "running" or (self._pending == "save" and has_saved):
            if self._pending == "save" and has_saved:
                step = max(self._watch.curves.checkpoints)
                self._context.notify(f"Step {step:,} is saved", tone="good")
            self._answered()

    def resume(self) -> None:
        """Go on from the newest checkpoint; asks when the data is not what it was."""
        if self._watch is not None:
            run = self._watch.run
            self.resuming.emit(True)
            self._context.tasks.run(
                _check, run, on_done=lambda problem: self._on_checked(run, problem), on_error=self._on_not_resumed
            )

    def take_settings(self) -> None:
        """Make the run's settings the draft, and go where they are changed."""
        project = self._context.session.project
        if self._watch is not None and project is not None:
            self._context.tasks.run(
                _reproduce, self._watch.run, project, (), on_done=self._on_settings, on_error=self._on_told
            )

    def start_again(self, *settings: str) -> None:
        """Start a new run like this one with other settings; they become the draft, which can be undone."""
        project = self._context.session.project
        if self._watch is not None and project is not None:
            self._context.tasks.run(
                _reproduce, self._watch.run, project, settings, on_done=self._on_start_again, on_error=self._on_told
            )

    def end_process(self) -> None:
        """End a worker that does not listen."""
        if self._watch is not None:
            self._context.tasks.run(
                _end, self._watch.run, self._watch.curves.pid, on_done=self._on_process_ended, on_error=self._on_told
            )

    # Inside

    def _answered(self) -> None:
        self._pending = ""
        self._deaf.stop()
        self.asked.emit(None)

    def _on_deaf(self) -> None:
        if self._watch is None or self._watch.status != "running":
            return
        text = "It looks for wishes after each step, so a long one has to end first."
        self._context.notify("The run has not answered yet", text, "warn", ("End the process", self.end_process))
        self._answered()

    def _on_checked(self, run: Run, problem: UserError | None) -> None:
        window = self.parent()
        assert self._watch is not None
        if problem is not None:
            text = f"{problem.message} It can go on all the same, with the rows as they are now."
            answers = [("Cancel", "quiet"), ("Go on all the same", "primary")]
            if not ask(window, "The data has changed", text, answers):  # type: ignore[arg-type]
                self.resuming.emit(False)
                return
        self._context.session.resume_run(
            run, accept_changes=True, on_started=self._on_resumed, on_error=self._on_not_resumed
        )

    def _on_resumed(self, run: Run) -> None:
        self.resuming.emit(False)
        if self._watch is not None:
            self._watch.look()

    def _on_not_resumed(self, error: Exception) -> None:
        self.resuming.emit(False)
        self._on_told(error)

    def _on_settings(self, spec: RunSpec) -> None:
        self._context.session.replace(spec, "settings of a run")
        self._context.navigate("method")

    def _on_start_again(self, spec: RunSpec) -> None:
        self._context.session.replace(spec, "settings of a run, changed")
        self.resuming.emit(True)
        self._context.session.start_run(on_started=self._on_resumed, on_error=self._on_not_resumed)

    def _on_process_ended(self, _: object) -> None:
        if self._watch is not None:
            self._watch.look()

    def _on_told(self, error: Exception) -> None:
        if not isinstance(error, UserError):
            self._context.tasks.faulted.emit(error)
            return
        self._context.notify(error.message, error.hint, "danger")


def _check(control: Control, run: Run) -> UserError | None:
    try:
        check_unchanged(run)
    except UserError as error:
        return error
    return None


def _reproduce(control: Control, run: Run, project: Project, settings: tuple[str, ...]) -> RunSpec:
    spec = reproduction(run, project)
    return set_values(spec, settings) if settings else spec


def _end(control: Control, run: Run, pid: int) -> None:
    end_worker(run, pid)
