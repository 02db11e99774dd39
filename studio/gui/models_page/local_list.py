"""The models on this computer as rows. What can be done with one is the owner's to say."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.gui.context import Context
from studio.gui.controls import BusyState, ErrorState, ScrollColumn, States
from studio.gui.models_page.downloads import downloads_of
from studio.gui.models_page.hub_list import bare
from studio.gui.models_page.rows import ModelRow, local_facts, local_row
from studio.gui.tasks import Control, Task
from studio.models.on_disk import ModelOnDisk, models_on_disk
from studio.models.streamed_copies import StreamedCopy, streamed_copies

Dress = Callable[[ModelRow, ModelOnDisk], object]
Tail = Callable[[StreamedCopy], ModelRow]


class LocalList(QWidget):
    """The rows.

    Signals:
        loaded(): the models are known.
    """

    loaded = Signal()

    def __init__(
        self, context: Context, dress: Dress, parent: QWidget | None = None, *, tail: Tail | None = None
    ) -> None:
        """Make it; `dress` adds buttons to each row, `tail` makes the rows behind the models'."""
        super().__init__(parent)
        self._context, self._dress, self._tail = context, dress, tail
        self._tail_rows: list[ModelRow] = []
        self.copies: list[StreamedCopy] = []
        self._downloads = downloads_of(context)
        self._task: Task | None = None
        self.models: list[ModelOnDisk] = []
        self.rows: dict[str, ModelRow] = {}
        self.states = States()
        self.states.add("busy", bare(BusyState("Looking through this computer")))
        self._scroll = ScrollColumn(margins=(0, 0, 10, 0))
        self._scroll.column.addStretch(1)
        self.states.add("full", self._scroll)
        self._error = ErrorState()
        self.states.add("error", bare(self._error))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.states)
        self._downloads.changed.connect(self._on_download)
        self._downloads.finished.connect(self._on_finished)

    def refresh(self) -> None:
        """Look again, off the window's thread; the rows of before stay until then."""
        folders = list(self._context.preferences.model_folders)
        self.stop()
        has_tail = self._tail is not None
        self._task = self._context.tasks.run(_look, folders, has_tail, on_done=self._on_found, on_error=self._on_failed)

    def stop(self) -> None:
        """Want no answer any more: it would come to a list that is gone."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _on_found(self, found: tuple[list[ModelOnDisk], list[StreamedCopy]]) -> None:
        self._task = None
        for row in [*self.rows.values(), *self._tail_rows]:
            row.hide()
            row.deleteLater()
        self.models, self.copies = found
        self.rows, models = {}, self.models
        for at, model in enumerate(models):
            row = local_row(model)
            self._dress(row, model)
            self.rows[model.source] = row
            self._scroll.column.insertWidget(at, row)
            self._on_download(model.source)
        self._tail_rows = [self._tail(copy) for copy in self.copies] if self._tail else []
        for at, row in enumerate(self._tail_rows, start=len(models)):
            self._scroll.column.insertWidget(at, row)
        self.states.show_state("full")
        self.loaded.emit()

    def _on_failed(self, error: Exception) -> None:
        self._task = None
        self._error.say("The models could not be listed", str(error), [("Look again", self.refresh)])
        self.states.show_state("error")

    def _on_finished(self, name: str) -> None:
        self.refresh()

    def _on_download(self, name: str) -> None:
        row = self.rows.get(name)
        if row is not None:
            model = next(model for model in self.models if model.source == name)
            row.show_progress(self._downloads.progress.get(name), local_facts(model))


def _look(control: Control, folders: list[str], has_tail: bool) -> tuple[list[ModelOnDisk], list[StreamedCopy]]:
    return models_on_disk(folders), streamed_copies() if has_tail else []
