"""The page: what is on this computer at the left, a search of the Hub at the right."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFileDialog

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import Button, Card, IconButton, ScrollColumn, confirm
from studio.gui.figures import gigabytes
from studio.gui.icons import Icon
from studio.gui.models_page.hub_list import HubList
from studio.gui.models_page.local_list import LocalList
from studio.gui.models_page.rows import ModelRow, copy_row
from studio.gui.models_page.use import use_model
from studio.gui.page import Command, PageWidget
from studio.gui.tasks import Control
from studio.gui.theme import theme
from studio.models import hub_place
from studio.models.on_disk import ModelOnDisk, delete_model
from studio.models.streamed_copies import StreamedCopy, delete_copy
from studio.project.model_users import projects_using

_LEAST_WIDTH = 820  # for both lists side by side, at the usual size of text


class ModelsPage(PageWidget):
    """Models."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Models")
        self.add = Button("Add a folder…", icon=Icon.FOLDER)
        self.local = LocalList(context, self._dress, tail=self._copy_row)
        self.hub = HubList(context, use_words="Use it")
        self._lay_out()
        self._connect()

    def enter(self, **arguments: object) -> None:
        self.local.refresh()
        self._say_facts()

    def commands(self) -> list[Command]:
        return [
            Command("Search the Hub for a model", self.hub.field.setFocus, "Ctrl+F", "Models"),
            Command("Add a folder of models", self._on_add, group="Models"),
        ]

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """The lists side by side, or where names would be cut one below the other."""
        is_narrow = self.width() < _LEAST_WIDTH * theme().scale
        self._lists.setDirection(QBoxLayout.Direction.TopToBottom if is_narrow else QBoxLayout.Direction.LeftToRight)
        self._scroll.set_fits(not is_narrow)

    def _lay_out(self) -> None:
        self.action_row.addWidget(self.add)
        row = self._lists = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        row.setSpacing(14)
        for title, content in (("On this computer", self.local), ("From the Hub", self.hub)):
            card = Card(title)
            card.body.addWidget(content, 1)
            row.addWidget(card, 1)
        self._scroll = ScrollColumn()
        self._scroll.column.addLayout(row)
        self.body.addWidget(self._scroll, 1)

    def _connect(self) -> None:
        theme().changed.connect(self._fit)
        self.add.clicked.connect(self._on_add)
        self.local.loaded.connect(self._say_facts)
        self.hub.wanted.connect(lambda name: use_model(self.context, name))
        self.context.machine.changed.connect(self._say_facts)

    def _say_facts(self) -> None:
        models, resources = self.local.models, self.context.machine.resources
        total = sum(model.size_bytes for model in models) + sum(copy.size_bytes for copy in self.local.copies)
        parts = [f"{len(models)} model{'s' * (len(models) > 1)}, {gigabytes(total)}"] if models else []
        if resources is not None:
            parts.append(f"{gigabytes(resources.disk_free)} free")
        self.facts.say(" · ".join([*parts, str(hub_place.cache_dir())]))

    def _dress(self, row: ModelRow, model: ModelOnDisk) -> None:
        """What can be done with a model here."""
        if model.is_partial:
            resume = Button("Resume", icon=Icon.DOWNLOAD, compact=True)
            resume.setAccessibleName(f"Resume the download of {model.title}")
            row.add_button(resume, lambda: self.hub.downloads.start(model.source))
        elif model.facts is not None and self.context.session.project is not None:
            use = Button("Use it", compact=True)
            use.setAccessibleName(f"Use {model.title} in this project")
            row.add_button(use, lambda: use_model(self.context, model.source))
        row.add_button(IconButton(Icon.OPEN, f"Show the folder of {model.title}"), lambda: _show(model.folder))
        if model.kind == "hub":
            row.add_button(IconButton(Icon.TRASH, f"Delete {model.title}"), lambda: self._on_delete(model))

    def _copy_row(self, copy: StreamedCopy) -> ModelRow:
        row = copy_row(copy)
        row.add_button(IconButton(Icon.OPEN, f"Show the streamed copy of {copy.name}"), lambda: _show(copy.folder))
        name = f"Delete the streamed copy of {copy.name}, {copy.kind}"
        row.add_button(IconButton(Icon.TRASH, name), lambda: self._on_delete_copy(copy))
        return row

    def _on_delete_copy(self, copy: StreamedCopy) -> None:
        text = "The model itself stays. The next run that streams it lays its layers out again."
        size = gigabytes(copy.size_bytes)
        if confirm(self, f"Delete the streamed copy of {copy.name}?", text, f"Delete {size}", danger=True):
            self.context.tasks.run(
                lambda control: delete_copy(copy), on_done=lambda freed: self._on_freed(copy), on_error=self._on_kept
            )

    def _on_freed(self, copy: StreamedCopy) -> None:
        text = f"{gigabytes(copy.size_bytes)} are free again."
        self.context.notify(f"The streamed copy of {copy.name} is deleted.", text, "good")
        self.local.refresh()

    def _on_add(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a model's folder, or one that holds several")
        preferences = self.context.preferences
        if folder and folder not in preferences.model_folders:
            changed = preferences.model_copy(update={"model_folders": [*preferences.model_folders, folder]})
            self.context.set_preferences(changed)
            self.local.refresh()

    def _on_delete(self, model: ModelOnDisk) -> None:
        """Ask with the size, and with the projects that would miss it."""
        self.context.tasks.run(
            lambda control: projects_using(model.source), on_done=lambda names: self._ask_delete(model, names)
        )

    def _ask_delete(self, model: ModelOnDisk, projects: list[str]) -> None:
        used = f" These projects use it: {', '.join(projects)}." if projects else ""
        text = f"It can be downloaded again.{used}"
        size = gigabytes(model.size_bytes)
        if not confirm(self, f"Delete {model.title} from this computer?", text, f"Delete {size}", danger=True):
            return
        self.hub.downloads.forget(model.source)
        self.context.tasks.run(
            _delete, model, on_done=lambda freed: self._on_deleted(model, freed), on_error=self._on_kept
        )

    def _on_deleted(self, model: ModelOnDisk, freed: int) -> None:
        self.context.notify(f"{model.title} is deleted.", f"{gigabytes(freed)} are free again.", "good")
        self.local.refresh()

    def _on_kept(self, error: Exception) -> None:
        title, hint = (error.message, error.hint) if isinstance(error, UserError) else (str(error), "")
        self.context.notify(title, hint, "danger")
        self.local.refresh()


def _delete(control: Control, model: ModelOnDisk) -> int:
    return delete_model(model)


def _show(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
