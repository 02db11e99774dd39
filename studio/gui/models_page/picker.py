"""The model picker: a dialog over what is here and what the Hub has, that answers with a model's source."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import Button, Dialog, Segment, States, Text
from studio.gui.icons import Icon
from studio.gui.models_page.downloads import downloads_of
from studio.gui.models_page.hub_list import HubList
from studio.gui.models_page.local_list import LocalList
from studio.gui.models_page.rows import ModelRow
from studio.gui.tasks import Control, Task
from studio.models.facts import ModelFacts, read_facts
from studio.models.on_disk import ModelOnDisk

_WIDTH, _HEIGHT = 720, 380
_ABOUT = (
    "The model that is to learn: one of this computer, one from the Hub, which is fetched first, or any folder that "
    "holds one."
)


class ModelPicker(Dialog):
    """Two lists and a folder to choose.

    Attributes:
        source: what was chosen; "" until then.
    """

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__("Choose a model", _ABOUT, width=_WIDTH, parent=parent)
        self._context = context
        self.source = ""
        self._task: Task | None = None
        self.segment = Segment([("local", "On this computer"), ("hub", "From the Hub")], name="Where from")
        self.folder = Button("Choose a folder…", icon=Icon.FOLDER, compact=True)
        self.local = LocalList(context, self._dress)
        self.hub = HubList(context, use_words="Use it")
        self.places = States()
        self.problem = Text("", "small", "danger", wrap=True)
        self._lay_out()
        self._connect()
        self.local.refresh()

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.segment)
        line.addStretch(1)
        line.addWidget(self.folder)
        self.body.addLayout(line)
        self.places.add("local", self.local)
        self.places.add("hub", self.hub)
        self.places.setMinimumHeight(_HEIGHT)
        self.body.addWidget(self.places, 1)
        self.problem.hide()
        self.body.addWidget(self.problem)
        self.add_button("Cancel", "quiet", self.reject)

    def _connect(self) -> None:
        self.segment.chosen.connect(self.show_place)
        self.folder.clicked.connect(self._on_folder)
        self.hub.wanted.connect(self._take)

    def show_place(self, key: str) -> None:
        """Show what is here, or the Hub."""
        self.segment.set_chosen(key)
        self.places.show_state(key)
        if key == "hub":
            self.hub.field.setFocus()

    def done(self, result: int) -> None:
        self.local.stop()
        self.hub.stop()
        if self._task is not None:
            self._task.cancel()
        super().done(result)

    def _dress(self, row: ModelRow, model: ModelOnDisk) -> None:
        if model.facts is not None:
            use = Button("Use it", compact=True)
            use.setAccessibleName(f"Use {model.title}")
            row.add_button(use, lambda: self._take(model.source))
        elif model.is_partial:
            resume = Button("Resume", icon=Icon.DOWNLOAD, compact=True)
            resume.setAccessibleName(f"Resume the download of {model.title}")
            row.add_button(resume, lambda: downloads_of(self._context).start(model.source))

    def _on_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a model's folder")
        if folder:
            self.try_folder(folder)

    def try_folder(self, folder: str) -> None:
        """Take a folder if a model is in it; else say what is missing."""
        self._task = self._context.tasks.run(
            _read, folder, on_done=lambda _: self._take(folder), on_error=lambda error: self._say(folder, error)
        )

    def _say(self, folder: str, error: Exception) -> None:
        words = f"{error.message} {error.hint}" if isinstance(error, UserError) else str(error)
        self.problem.say(f"{Path(folder).name}: {words}".strip())
        self.problem.show()

    def _take(self, source: str) -> None:
        self.source = source
        self.accept()


def pick_model(context: Context, parent: QWidget) -> str | None:
    """Ask for a model; its source, or None when the person thought better of it."""
    dialog = ModelPicker(context, parent.window())
    dialog.exec()
    source = dialog.source
    dialog.deleteLater()
    return source or None


def _read(control: Control, folder: str) -> ModelFacts:
    return read_facts(Path(folder))
