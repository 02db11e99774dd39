"""An export on its way, as its job tells it: files, tensors, bytes, checks. No widgets here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal

from studio.gui.tasks import JobTask, Tasks
from studio.protocol import events

FilePhase = Literal["waiting", "writing", "written", "checking", "done"]


@dataclass
class FileState:
    """One file.

    Attributes:
        path: where it will be.
        num_bytes: forecast, then the bytes of its tensors.
        tensors: name and bytes in the order of the file, empty before it is begun.
        num_tensors_done, bytes_done: written so far.
        current: the tensor at hand.
        phase: where it stands.
        share: of the check that is under way.
    """

    path: Path
    num_bytes: int
    tensors: list[tuple[str, int]] = field(default_factory=list)
    num_tensors_done: int = 0
    bytes_done: int = 0
    current: str = ""
    phase: FilePhase = "waiting"
    share: float = 0.0
    started: float = 0.0

    @property
    def bytes_per_second(self) -> float:
        """Since its first tensor; not-a-number before there is something to measure."""
        seconds = time.monotonic() - self.started
        return self.bytes_done / seconds if self.bytes_done and seconds > 0.2 else float("nan")

    @property
    def seconds_left(self) -> float:
        """By that pace."""
        return (self.num_bytes - self.bytes_done) / self.bytes_per_second


class ExportRun(QObject):
    """One export job.

    Signals:
        changed(): it is further on.
        ended(object, object): the files that were made (dictionaries of the job's result), and the error if any.
    """

    changed = Signal()
    ended = Signal(object, object)

    def __init__(self, tasks: Tasks, arguments: dict[str, Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.files: list[FileState] = []
        self.phase = "Starting"
        self.notices: list[str] = []
        self.is_over = self.is_cancelled = False
        self._made: list[dict[str, Any]] = []
        self._job: JobTask = tasks.job(
            "export", arguments, on_event=self._take, on_done=self._on_done, on_error=self._on_error
        )

    @property
    def current(self) -> FileState | None:
        """The file at hand, else the last one."""
        busy = next((file for file in self.files if file.phase in ("writing", "checking")), None)
        return busy or next((file for file in reversed(self.files) if file.phase != "waiting"), None)

    @property
    def share(self) -> float | None:
        """Bytes written of all bytes; None before they are known."""
        total = sum(file.num_bytes for file in self.files)
        return sum(file.bytes_done for file in self.files) / total if total else None

    def cancel(self) -> None:
        """End it between two tensors; what is half-made is removed by the job."""
        self.is_cancelled = True
        self.phase = "Cancelling"
        self._job.cancel()
        self.changed.emit()

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.Result):
            self._take_result(event.value)
        elif isinstance(event, events.Notice):
            self.notices.append(f"{event.text} {event.hint}".strip())
        elif isinstance(event, events.Phase) and not self.is_cancelled:
            self._take_phase(event)
        self.changed.emit()

    def _take_result(self, value: dict[str, Any]) -> None:
        if "forecast" in value:
            self.files = [FileState(Path(file["path"]), int(file["bytes"])) for file in value["forecast"]]
        elif "tensors" in value and (file := self._file(Path(value["path"]).name)) is not None:
            file.tensors = [(str(name), int(size)) for name, size in value["tensors"]]
            file.num_bytes = sum(size for _, size in file.tensors)
            file.started = time.monotonic()
        elif "files" in value:
            self._made = list(value["files"])

    def _take_phase(self, event: events.Phase) -> None:
        self.phase = event.name
        verb, _, name = event.name.partition(" ")
        file = self._file(name)
        if file is None:
            return
        if verb == "Checking":
            file.phase, file.share = "checking", event.done / event.total if event.total else 0.0
            return
        file.phase = "writing"
        file.bytes_done = int(event.done)
        file.current = str((event.model_extra or {}).get("detail", ""))
        if event.total and event.done >= event.total:
            file.phase, file.num_tensors_done = "written", len(file.tensors)
        elif file.tensors and file.current:
            names = [name for name, _ in file.tensors]
            file.num_tensors_done = names.index(file.current) if file.current in names else file.num_tensors_done

    def _file(self, name: str) -> FileState | None:
        return next((file for file in self.files if file.path.name == name), None)

    def _on_done(self) -> None:
        for file in self.files:
            file.phase, file.num_tensors_done, file.bytes_done = "done", len(file.tensors), file.num_bytes
        self._end(None)

    def _on_error(self, error: Exception) -> None:
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        self.is_over = True
        self.changed.emit()
        self.ended.emit(self._made, error)
