"""Asks a process of its own how the model sees rows: it has the tokenizer, which the window never loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from studio.data.encoding import EncodingSettings
from studio.data.store.seen import SeenRow
from studio.errors import Cancelled, UserError
from studio.formats import Recognised
from studio.gui.tasks import JobTask, Tasks
from studio.protocol import commands, events


@dataclass(frozen=True)
class Question:
    """A row to look at: the row itself, or where it is kept; and how it is read."""

    row: Mapping[str, Any] | None
    folder: Path | None
    ordinal: int
    reader: Recognised
    settings: EncodingSettings

    def as_json(self) -> str:
        """For the wire."""
        place = {"row": self.row} if self.folder is None else {"folder": str(self.folder), "ordinal": self.ordinal}
        settings = [self.settings.train_on, self.settings.truncation, self.settings.max_length]
        columns = dict(self.reader.columns)
        question = {"format": self.reader.format.key, "columns": columns, "settings": settings, **place}
        return json.dumps(question, default=str)


class Seer(QObject):
    """Answers for one model; only the newest question is answered.

    Signals:
        seen(object): the `SeenRow` of the last question.
        model_known(bool): whether the model is on this computer.
        failed(str): there will be no answer, and why.
    """

    seen = Signal(object)
    model_known = Signal(bool)
    failed = Signal(str)

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._job: JobTask | None = None
        self._model = ("", "")
        self._number = 0
        self._asked: Question | None = None
        self._is_busy = False
        self._is_ready = False

    def use(self, model: str, revision: str) -> None:
        """See with this model's tokenizer; nothing is started before there is a question."""
        if (model, revision) != self._model:
            self.close()
            self._model = (model, revision)

    def ask(self, question: Question) -> None:
        """Ask; an earlier question that is not answered yet is dropped."""
        self._asked = question
        if self._job is None:
            self._start()
        elif self._is_ready and not self._is_busy:
            self._tell()

    def close(self) -> None:
        """End the process."""
        if self._job is not None:
            self._job.close()
        self._job, self._asked = None, None
        self._is_busy = self._is_ready = False

    def _start(self) -> None:
        model, revision = self._model
        self._job = self._tasks.job(
            "see_rows",
            {"model": model, "revision": revision},
            on_event=self._on_event,
            on_done=self._on_done,
            on_error=self._on_failed,
        )

    def _tell(self) -> None:
        if self._asked is None or self._job is None:
            return
        self._number += 1
        self._is_busy = True
        question, self._asked = self._asked, None
        self._job.tell(commands.Ask(number=self._number, question=question.as_json()))

    def _on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Result):
            return
        if "has_model" in event.value:
            self._is_ready = bool(event.value["has_model"])
            self.model_known.emit(self._is_ready)
        elif event.value.get("number") == self._number:
            self._is_busy = False
            if self._asked is None:
                self.seen.emit(SeenRow.from_dict(event.value))
        if self._is_ready and not self._is_busy:
            self._tell()

    def _on_done(self) -> None:
        """It had no model to see with; the next question looks again."""
        self._job = None
        self._is_busy = self._is_ready = False

    def _on_failed(self, error: Exception) -> None:
        self._on_done()
        if not isinstance(error, Cancelled):
            self.failed.emit(error.message if isinstance(error, UserError) else str(error))
