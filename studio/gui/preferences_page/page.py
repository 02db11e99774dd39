"""The page: sections at the left, a search above, and one column of fields; each takes effect at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QUndoCommand, QUndoStack
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.gui.context import Context
from studio.gui.controls import Button, Card, EmptyState, Field, ScrollColumn, States
from studio.gui.forms import Form
from studio.gui.forms.editors import Editor, TextEditor
from studio.gui.icons import Icon
from studio.gui.page import Command, PageWidget
from studio.gui.preferences_page.folders import FolderEditor, FolderListEditor
from studio.gui.preferences_page.index import IndexLink
from studio.gui.preferences_page.token import TokenRow
from studio.gui.tasks import Control
from studio.machine.other_drives import VARIABLE, idle_folders
from studio.models import hub_place
from studio.preferences import SECTIONS, Preferences, is_from_environment, preferences_path, projects_folder
from studio.spec.fields import FieldFacts, describe
from studio.spec.sentences import problem_of

_EDITORS: dict[str, Callable[[FieldFacts], Editor]] = {
    "projects_folder": lambda facts: FolderEditor(facts, usual=projects_folder(Preferences())),
    "hub_cache": lambda facts: FolderEditor(facts, usual=hub_place.cache_dir()),
    "model_folders": FolderListEditor,
    "stream_folders": FolderListEditor,
}
_VARIABLES = {
    "stream_folders": VARIABLE,
    "hub_cache": "HF_HUB_CACHE",
    "hub_endpoint": "HF_ENDPOINT",
    "offline": "TUNESMITH_OFFLINE",
}
_OUTSIDE = "The variable {} is set outside, and wins."
_COLUMN_WIDTH = 760


class PreferencesPage(PageWidget):
    """Preferences."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Preferences")
        self.undo_stack = QUndoStack(self)
        self.search = Field("Search", icon=Icon.SEARCH, name="Search preferences")
        self.search.setClearButtonEnabled(True)
        self.undo = Button("Undo", icon=Icon.UNDO)
        self.models = Button("Models on this computer", icon=Icon.MODEL)
        self.token = TokenRow(context)
        self.forms = {title: self._form(names) for title, names in SECTIONS.items()}
        self.cards: dict[str, Card] = {}
        self.states = States()
        self._scroll = ScrollColumn(spacing=14, margins=(0, 0, 12, 0))
        self._lay_out()
        self._connect()
        self._refresh()

    def enter(self, **arguments: object) -> None:
        self.token.refresh()
        self._check_drives()
        if arguments.get("section") in self.cards:
            # Once the page has its size: what is not laid out cannot be scrolled to.
            QTimer.singleShot(0, self, lambda: self.go_to(str(arguments["section"])))

    def leave(self) -> None:
        self.token.rest()

    def commands(self) -> list[Command]:
        sections = [Command(f"Preferences: {title}", lambda title=title: self.go_to(title)) for title in self.cards]  # type: ignore[misc]
        return [Command("Search preferences", self.search.setFocus, "Ctrl+F", "Preferences"), *sections]

    def go_to(self, section: str) -> None:
        """Scroll to a section."""
        self._scroll.verticalScrollBar().setValue(self.cards[section].y())

    def _form(self, names: tuple[str, ...]) -> Form:
        by_name = {field.name: field for field in describe(Preferences)}
        form = Form((by_name[name] for name in names), editors=_EDITORS)
        form.edited.connect(self._on_edited)
        return form

    def _lay_out(self) -> None:
        self.facts.say(f"Kept in {preferences_path()}")
        self.action_row.addWidget(self.models)
        self.action_row.addWidget(self.undo)
        row = QHBoxLayout()
        row.setSpacing(24)
        row.addLayout(self._index())
        for title, form in self.forms.items():
            card = Card(title, spacing=4)
            card.setMaximumWidth(_COLUMN_WIDTH)
            card.body.addWidget(form)
            self.cards[title] = card
            self._scroll.column.addWidget(card)
        self.cards["Models"].body.addWidget(self.token)
        self._scroll.column.addStretch(1)
        self.states.add("full", self._scroll)
        nothing = EmptyState(
            Icon.SEARCH, "No preference has that name", "Search for another word.", [("Show all", self.search.clear)]
        )
        self.states.add("empty", nothing)
        row.addWidget(self.states, 1)
        self.body.addLayout(row, 1)

    def _index(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(2)
        self.search.setFixedWidth(210)
        column.addWidget(self.search)
        column.addSpacing(8)
        for title in SECTIONS:
            link = IndexLink(title)
            link.clicked.connect(lambda _=False, title=title: self.go_to(title))
            column.addWidget(link)
        column.addStretch(1)
        return column

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_searched)
        self.undo.clicked.connect(self.undo_stack.undo)
        self.undo_stack.canUndoChanged.connect(self.undo.setEnabled)
        self.models.clicked.connect(lambda: self.context.navigate("models"))
        self.context.preferences_changed.connect(self._refresh)

    def _refresh(self) -> None:
        """Show what is preferred now."""
        values = self.context.preferences.model_dump()
        self.undo.setEnabled(self.undo_stack.canUndo())
        for form in self.forms.values():
            form.set_values(values)
            for row in form.rows:
                if row.facts.path == "hub_endpoint" and isinstance(row.editor, TextEditor):
                    row.editor.set_hint(hub_place.PUBLIC)
                variable = _VARIABLES.get(row.facts.path, "")
                if variable and is_from_environment(variable):
                    row.show_problem(_OUTSIDE.format(variable), is_fatal=False)
                    row.editor.setEnabled(False)
        self._check_drives()

    def _check_drives(self) -> None:
        """Say which folders for streaming lie where they speed up nothing; drives may take their time to answer."""
        project = self.context.session.project
        folder = project.folder if project else projects_folder(self.context.preferences)
        self.context.tasks.run(_idle_folders, folder, on_done=self._on_drives_checked)

    def _on_drives_checked(self, sentences: list[str]) -> None:
        row = self._row_of("stream_folders")
        said = [_OUTSIDE.format(VARIABLE)] if is_from_environment(VARIABLE) else []
        if said or sentences:
            row.show_problem(" ".join([*said, *sentences]), is_fatal=False)
        else:
            row.clear_problem()

    def _on_edited(self, name: str, value: Any) -> None:
        before = self.context.preferences
        after = _changed(before, name, value)
        if isinstance(after, str):
            self._row_of(name).show_problem(after)
        elif after != before:
            self.undo_stack.push(_Edit(self, before, after))
        else:
            self._row_of(name).clear_problem()

    def put(self, preferences: Preferences) -> None:
        """Let other preferences take effect."""
        try:
            self.context.set_preferences(preferences)
        except OSError as error:
            self.context.notify(
                "The preference could not be kept.", f"{preferences_path()}: {error.strerror}", "danger"
            )

    def _row_of(self, name: str) -> Any:
        return next(row for form in self.forms.values() for row in form.rows if row.facts.name == name)

    def _on_searched(self, text: str) -> None:
        words = text.lower().split()
        for title, form in self.forms.items():
            shown = [_show(row, _says(words, title, row.facts.title, row.facts.help)) for row in form.rows]
            if title == "Models":
                shown.append(_show(self.token, _says(words, title, "Hub token", self.token.help.text())))
            self.cards[title].setVisible(any(shown))
        self.states.show_state("full" if any(not card.isHidden() for card in self.cards.values()) else "empty")


def _idle_folders(control: Control, folder: Path) -> list[str]:
    return idle_folders(folder)


class _Edit(QUndoCommand):
    def __init__(self, page: PreferencesPage, before: Preferences, after: Preferences) -> None:
        super().__init__("preference")
        self._page, self._before, self._after = page, before, after

    def redo(self) -> None:
        self._page.put(self._after)

    def undo(self) -> None:
        self._page.put(self._before)


def _changed(preferences: Preferences, name: str, value: Any) -> Preferences | str:
    """Preferences with one value changed, or the sentence that says why it cannot be used."""
    from pydantic import ValidationError

    try:
        return Preferences.model_validate({**preferences.model_dump(), name: value})
    except ValidationError as error:
        return problem_of(error.errors(include_url=False)[0], "", Preferences).message


def _says(words: list[str], *texts: str) -> bool:
    found = " ".join(texts).lower()
    return all(word in found for word in words)


def _show(widget: QWidget, is_shown: bool) -> bool:
    widget.setVisible(is_shown)
    return is_shown
