"""A search of the Hub: rows with size, licence and terms, and downloading one with the disk checked first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QTimer, QUrl, Signal
from PySide6.QtGui import QColor, QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import (
    Badge,
    Button,
    Card,
    Check,
    EmptyState,
    ErrorState,
    Field,
    IconButton,
    ScrollColumn,
    Skeleton,
    States,
)
from studio.gui.figures import gigabytes
from studio.gui.icons import Icon
from studio.gui.models_page.downloads import Downloads, downloads_of
from studio.gui.models_page.downloads import Progress as Far
from studio.gui.models_page.rows import ModelRow, hub_facts
from studio.gui.tasks import Control, Task
from studio.models.hub_search import FoundModel, Offer, offer, page_of, search
from studio.planner.rough import fits_here

_WAIT_MS = 350


class HubRow(ModelRow):
    """A model on the Hub: download, pause, resume, and use it once it is here."""

    def __init__(self, model: FoundModel, use_words: str, parent: QWidget | None = None) -> None:
        super().__init__(model.name, hub_facts(model), parent)
        self._use_words = use_words
        if model.is_gated:
            self.add_badge("Gated", "info", Icon.LOCK)
        self.here = Badge("Here", "good")
        self._badges.addWidget(self.here)
        self.terms = IconButton(Icon.EXTERNAL, f"Read the terms of {model.name}")
        self.pause = Button("Pause", icon=Icon.PAUSE, compact=True)
        self.get = Button("Download", icon=Icon.DOWNLOAD, compact=True)
        self.use = Button(use_words, "primary", compact=True)
        self.buttons.addWidget(self.terms)
        for button in (self.pause, self.get, self.use):
            button.setAccessibleName(f"{button.text()}: {model.name}")
            self.buttons.addWidget(button)
        self.terms.clicked.connect(lambda: open_page(model.name))

    def show_state(self, model: FoundModel, far: Far | None) -> None:
        """Show what can be done now."""
        is_running = far is not None and far.state == "running"
        self.show_progress(far, hub_facts(model))
        self.here.setVisible(model.is_here)
        self.terms.setVisible(model.is_gated and not model.is_here and not is_running)
        self.pause.setVisible(is_running)
        self.get.setVisible(not model.is_here and not is_running)
        self.get.setText("Resume" if far is not None else "Download")
        self.use.setVisible(model.is_here and bool(self._use_words))


class HubList(QWidget):
    """A field and what it finds.

    Signals:
        wanted(str): a model that is here is to be used.
    """

    wanted = Signal(str)

    def __init__(self, context: Context, use_words: str = "", parent: QWidget | None = None) -> None:
        """Make it; `use_words` is on the button of models that are here, which is left out when empty."""
        super().__init__(parent)
        self._context, self._use_words = context, use_words
        self.downloads: Downloads = downloads_of(context)
        self.field = Field("Search by name, or paste a link", icon=Icon.SEARCH)
        self.field.setClearButtonEnabled(True)
        self.fits = Check("Fits this computer")
        self.states = States()
        self.found: dict[str, FoundModel] = {}
        self.rows: dict[str, HubRow] = {}
        self._task: Task | None = None
        self._offer: Task | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        line = QHBoxLayout()
        line.setSpacing(12)
        line.addWidget(self.field, 1)
        line.addWidget(self.fits)
        column.addLayout(line)
        column.addWidget(self.states, 1)
        words = "Models with safe weights, the most used first. Nothing is downloaded until you say so."
        self.states.add("empty", bare(EmptyState(Icon.SEARCH, "Search the Hub", words)))
        self.states.add("busy", _busy())
        self._error = ErrorState()
        self.states.add("error", bare(self._error))
        nothing = "Look for another part of its name. Models with pickled weights alone, or too large, are left out."
        self.states.add("nothing", bare(EmptyState(Icon.SEARCH, "No model has that name", nothing)))
        self._scroll = ScrollColumn(margins=(0, 0, 10, 0))
        self._scroll.column.addStretch(1)
        self.states.add("full", self._scroll)

    def _connect(self) -> None:
        self.field.textChanged.connect(self._on_typed)
        self.field.returnPressed.connect(self.search_now)
        self._timer.timeout.connect(self.search_now)
        self.fits.toggled.connect(lambda _: self._filter())
        self.downloads.changed.connect(self._on_download)
        self.downloads.finished.connect(self._on_finished)

    def search_now(self) -> None:
        """Ask the Hub."""
        self._timer.stop()
        words = self.field.text().strip()
        if self._task is not None:
            self._task.cancel()
        if not words:
            self.states.show_state("empty")
            return
        self.states.show_state("busy")
        self._task = self._context.tasks.run(
            lambda control: search(words), on_done=self._on_found, on_error=self._on_failed
        )

    def stop(self) -> None:
        """Want no answers any more: they would come to a list that is gone. Downloads go on."""
        self._timer.stop()
        for task in (self._task, self._offer):
            if task is not None:
                task.cancel()

    def download(self, name: str) -> None:
        """Look what it takes, and begin when the disk has room."""
        row = self.rows[name]
        row.facts.say("Asking the Hub what it takes", "text2")
        self._offer = self._context.tasks.run(
            _ask, name, on_done=self._on_offer, on_error=lambda error: self._refuse(name, str(error))
        )

    def _on_typed(self, text: str) -> None:
        self._timer.start()

    def _on_found(self, models: list[FoundModel]) -> None:
        for row in self.rows.values():
            row.hide()
            row.deleteLater()
        self.found, self.rows = {model.name: model for model in models}, {}
        for at, model in enumerate(models):
            self.rows[model.name] = row = self._make_row(model)
            self._scroll.column.insertWidget(at, row)
            self._on_download(model.name)
        self._filter()

    def _on_failed(self, error: Exception) -> None:
        title, hint = (error.message, error.hint) if isinstance(error, UserError) else ("The search failed", str(error))
        actions: list[tuple[str, Callable[[], object]]] = [("Search again", self.search_now)]
        self._error.say(title, hint, [*actions, ("Preferences", self._to_preferences)])
        self.states.show_state("error")

    def _filter(self) -> None:
        """Leave out what would not fit, when asked to."""
        resources = self._context.machine.resources
        if not self.rows:
            self.states.show_state("nothing" if self.field.text().strip() else "empty")
            return
        for name, row in self.rows.items():
            is_too_large = resources is not None and not fits_here(self.found[name].parameters, resources)
            row.setVisible(not (self.fits.isChecked() and is_too_large))
        self.states.show_state("nothing" if all(row.isHidden() for row in self.rows.values()) else "full")

    def _make_row(self, model: FoundModel) -> HubRow:
        row = HubRow(model, self._use_words)
        row.pause.clicked.connect(lambda: self.downloads.pause(model.name))
        row.get.clicked.connect(lambda: self.download(model.name))
        row.use.clicked.connect(lambda: self.wanted.emit(model.name))
        return row

    def _on_download(self, name: str) -> None:
        if name in self.rows:
            self.rows[name].show_state(self.found[name], self.downloads.progress.get(name))

    def _on_finished(self, name: str) -> None:
        if name in self.found:
            self.found[name] = replace(self.found[name], is_here=True)
        self._on_download(name)

    def _on_offer(self, found: Offer) -> None:
        if found.short_bytes:
            words = f"Needs {gigabytes(found.missing_bytes)}, {gigabytes(found.free_bytes)} are free on that disk."
            self._refuse(found.name, f"{words} Free some, or choose another folder in Preferences.")
        else:
            self.downloads.start(found.name)

    def _refuse(self, name: str, words: str) -> None:
        if name in self.rows:
            self.rows[name].facts.say(words, "danger")

    def _to_preferences(self) -> None:
        self._context.navigate("preferences", section="Models")


def open_page(name: str) -> None:
    """Show a model's page in the browser."""
    QDesktopServices.openUrl(QUrl(page_of(name)))


def _ask(control: Control, name: str) -> Offer:
    return offer(name)


def _busy() -> QWidget:
    """Bars of the rows' shape."""
    place = QWidget()
    column = QVBoxLayout(place)
    column.setSpacing(24)
    for _ in range(4):
        column.addWidget(Skeleton(2))
    column.addStretch(1)
    return place


def bare(card: Card) -> Card:
    """A state inside a card needs no surface of its own."""
    card.fill = card.edge = QColor(0, 0, 0, 0)
    return card
