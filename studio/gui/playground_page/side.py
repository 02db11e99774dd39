"""One model in conversation: its worker process, from loading to its end. No widgets here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from studio.errors import Cancelled, UserError
from studio.gui.tasks import Tasks
from studio.project.jobs import WorkerFailed
from studio.protocol import commands, events

SideState = Literal["off", "loading", "ready", "answering", "ended"]
_STOP_MS = 6_000
_SILENT_MS = 30_000


class ChatSide(QObject):
    """A model that answers.

    Attributes:
        state: off (no process), loading, ready, answering, ended (the process went away by itself).
        name: as the worker calls the model.
        context_length, num_bytes: of the loaded model; 0 when not known.
        phase, share: what loading does now, and how far it is.
        headline, problem: why it ended or was not begun, or what the last question met.
        is_silent: nothing has come for half a minute.

    Signals:
        changed(): any of these.
        grew(str): a piece of the answer.
        answered(str, object): how the answer ended ("stop", "length", "cancelled", "" for a lost one), its figures.
        rendered(str, int): the exact prompt that was asked for, and its number of tokens.
    """

    changed = Signal()
    grew = Signal(str)
    answered = Signal(str, object)
    rendered = Signal(str, int)

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._wire: _Wire | None = None
        self._turn = 0
        self._queued: list[commands.Command] = []
        self.state: SideState = "off"
        self.name = self.phase = self.problem = self.headline = ""
        self.share: float | None = None
        self.context_length = self.num_bytes = 0
        self.is_silent = False
        self._patience = _timer(self, _STOP_MS, self._on_no_patience)
        self._silence = _timer(self, _SILENT_MS, self._on_silence)

    @property
    def is_loaded(self) -> bool:
        """Whether it can be asked now or is answering."""
        return self.state in ("ready", "answering")

    def load(self, arguments: dict[str, Any]) -> None:
        """Start a process for a model; one that runs is ended first."""
        self._drop()
        self.name, self.problem, self.phase, self.share = "", "", "Starting", None
        self.context_length = self.num_bytes = 0
        self._wire = _Wire(self, self._tasks, arguments)
        self._become("loading")

    def unload(self) -> None:
        """End the process and with it all the memory that it holds."""
        self._drop()
        self._become("off")

    def hold(self, headline: str, problem: str) -> None:
        """Load nothing, and say why."""
        self._drop()
        self.headline, self.problem = headline, problem
        self._become("ended")

    def say(self, messages: list[dict[str, str]], sampling: dict[str, Any]) -> None:
        """Ask; pieces come as `grew`, the end as `answered`. While it loads, the question waits."""
        self._turn += 1
        self._patience.stop()  # an answer that was stopped for this one will not be heard to its end
        self._tell(commands.Say(turn=self._turn, messages=messages, sampling=sampling))
        if self.state == "ready":
            self._begin()

    def render(self, messages: list[dict[str, str]]) -> None:
        """Ask for the exact prompt; it comes as `rendered`."""
        self._tell(commands.Render(messages=messages))

    def stop(self) -> None:
        """End the answer; a worker that does not obey is ended itself."""
        if self.state == "loading":
            self._queued.clear()
            self.answered.emit("cancelled", {})
        elif self.state == "answering":
            self._tell(commands.Cancel())
            self._patience.start()

    # What the worker says

    def take(self, event: events.Event) -> None:
        """One event of the worker."""
        if isinstance(event, events.Phase):
            self.phase, self.share = event.name, event.done / event.total if event.total else None
            self.changed.emit()
        elif isinstance(event, events.Result):
            self._take_result(event.value)
        elif isinstance(event, events.Token) and event.turn == self._turn:
            self._take_token(event)
        elif isinstance(event, events.Notice) and event.severity == "error":
            self.problem = f"{event.text} {event.hint}".strip()
            self._finish("refused", {})

    def end(self, error: Exception | None) -> None:
        """The process has gone without being told to."""
        was_answering = self.state == "answering" or bool(self._queued)
        self._cut()
        self.headline, self.problem = "Chat ended; the text above is kept.", _in_words(error)
        self._become("ended")
        if was_answering:
            self.answered.emit("", {})

    def _take_result(self, value: dict[str, Any]) -> None:
        if "prompt" in value:
            self.rendered.emit(str(value["prompt"]), int(value["tokens"]))
            return
        self.name = str(value["name"])
        self.context_length, self.num_bytes = int(value.get("context", 0)), int(value.get("bytes", 0))
        self._become("ready")
        waiting, self._queued = self._queued, []
        for command in waiting:
            self._tell(command)
            if isinstance(command, commands.Say):
                self._begin()

    def _take_token(self, event: events.Token) -> None:
        self._silence.start()
        if self.is_silent:
            self.is_silent = False
            self.changed.emit()
        if event.text:
            self.grew.emit(event.text)
        if event.finish:
            self._finish(event.finish, dict(event.figures))

    # Inside

    def _begin(self) -> None:
        self.problem, self.is_silent = "", False
        self._silence.start()
        self._become("answering")

    def _finish(self, reason: str, figures: dict[str, float]) -> None:
        self._patience.stop()
        self._silence.stop()
        self.is_silent = False
        was_answering = self.state == "answering"
        self._become("ready")
        if was_answering:
            self.answered.emit(reason, figures)

    def _tell(self, command: commands.Command) -> None:
        if self.state == "loading":
            self._queued.append(command)
        elif self._wire is not None:
            self._wire.job.tell(command)

    def _become(self, state: SideState) -> None:
        self.state = state
        self.changed.emit()

    def _drop(self) -> None:
        """Cut the process off; an answer on its way ends with what came of it."""
        was_busy = self.state == "answering" or bool(self._queued)
        self._cut()
        self.state = "off"
        if was_busy:
            self.answered.emit("cancelled", {})

    def _cut(self) -> None:
        self._patience.stop()
        self._silence.stop()
        self._queued.clear()
        self.is_silent = False
        if self._wire is not None:
            self._wire.cut()
            self._wire = None

    def _on_no_patience(self) -> None:
        self.end(WorkerFailed("It did not stop when it was told to, so it was ended."))

    def _on_silence(self) -> None:
        self.is_silent = True
        self.changed.emit()


class _Wire(QObject):
    """Ties one process to a side; what a process says after it was cut off is not heard."""

    def __init__(self, side: ChatSide, tasks: Tasks, arguments: dict[str, Any]) -> None:
        super().__init__(side)
        self._side = side
        self._is_cut = False
        self.job = tasks.job("chat", arguments, on_event=self._on_event, on_done=self._on_done, on_error=self._on_error)

    def cut(self) -> None:
        """End the process; nothing of it is heard any more."""
        self._is_cut = True
        self.job.close()
        self.deleteLater()

    def _on_event(self, event: events.Event) -> None:
        if not self._is_cut:
            self._side.take(event)

    def _on_done(self) -> None:
        if not self._is_cut:
            self._side.end(None)

    def _on_error(self, error: Exception) -> None:
        if not self._is_cut:
            self._side.end(error)


def _in_words(error: Exception | None) -> str:
    if error is None or isinstance(error, Cancelled):
        return "Its process has ended."
    if isinstance(error, UserError | WorkerFailed):
        return f"{error.message} {error.hint}".strip()
    return f"{type(error).__name__}: {error}"


def _timer(parent: QObject, milliseconds: int, slot: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer
