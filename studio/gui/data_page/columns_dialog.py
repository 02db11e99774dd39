"""Which column plays which role: the guess with its reason, three rows as they would be read, and other choices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from studio.data.columns import column_names
from studio.data.conversation import Example, RowError
from studio.errors import UserError
from studio.formats import FORMATS, Recognised, recognise
from studio.gui.controls import Button, Card, Choice, Dialog, Text
from studio.gui.data_page.conversation import SPEAKERS
from studio.gui.theme import theme

_ROWS, _CHARACTERS = 3, 68
_NONE = ""
_ABOUT = "Which columns of the file the program reads, and as what. The file itself stays as it is."


class ColumnsDialog(Dialog):
    """Asks for format and columns.

    Attributes:
        format_key, columns: what was chosen; "auto" and {} for the program's own guess.
    """

    def __init__(
        self,
        values: Sequence[Mapping[str, Any]],
        format_key: str,
        columns: Mapping[str, str],
        parent: QWidget | None = None,
    ) -> None:
        """Make one.

        Args:
            values: some rows as they stand in the file.
            format_key, columns: what is chosen now.
        """
        super().__init__("Columns", _ABOUT, width=620, parent=parent)
        self._values = list(values)
        self.format_key, self.columns = format_key, dict(columns)
        self._roles: dict[str, Choice] = {}
        self.reason = Text("", "small", "text2", wrap=True)
        self.body.addWidget(self.reason)
        self._lay_out_choices()
        self.body.addWidget(Text("The first rows, read this way", "caption", "text3"))
        self._samples = [_Sample() for _ in range(_ROWS)]
        row = QHBoxLayout()
        for sample in self._samples:
            row.addWidget(sample, 1)
        self.body.addLayout(row)
        self.example = self.add_button("Copy an example row", "quiet", self._copy_example)
        self.add_button("Cancel", "quiet", self.reject)
        self.use = self.add_button("Use these columns", "primary", self.accept)
        self._fill_roles()
        self._look()

    def _lay_out_choices(self) -> None:
        head = QHBoxLayout()
        head.addWidget(Text("A row looks like", "body", "text2"))
        self.form = Choice(name="Row format")
        self.form.add("auto", "What the program finds")
        for key, form in FORMATS.all().items():
            self.form.add(key, form.title, hint=form.summary)
        self.form.set_chosen(self.format_key)
        self.form.chosen.connect(self._on_form)
        head.addWidget(self.form, 1)
        self.guess = Button("Guess again", "quiet", compact=True)
        self.guess.clicked.connect(self._on_guess)
        head.addWidget(self.guess)
        self.body.addLayout(head)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnStretch(2, 1)
        self.body.addLayout(self._grid)

    def _recognised(self) -> Recognised:
        return recognise(self._values, self.columns, self.format_key)

    def _fill_roles(self) -> None:
        """One choice a role of the format that is read now."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._roles.clear()
        try:
            found: Recognised | None = self._recognised()
        except UserError:
            found = None
        form = found.format if found else FORMATS.all().get(self.format_key)
        for at, (role, meaning) in enumerate((form.roles if form else {}).items()):
            self._add_role(at, role, meaning, found)

    def _add_role(self, at: int, role: str, meaning: str, found: Recognised | None) -> None:
        name = role.rstrip("?")
        choice = Choice(name=f"Column for {name}", placeholder="Choose a column")
        choice.setAccessibleDescription(meaning)
        if role.endswith("?"):
            choice.add(_NONE, "None")
        for column in column_names(self._values):
            choice.add(column, column)
        used = found.columns if found else self.columns
        choice.set_chosen(used.get(name, _NONE))
        choice.chosen.connect(lambda column: self._on_role(name, column))
        self._grid.addWidget(Text(name.capitalize(), "body_strong"), at, 0)
        self._grid.addWidget(choice, at, 1)
        self._grid.addWidget(Text(meaning, "small", "text3", wrap=True), at, 2)
        self._roles[name] = choice

    def _on_form(self, key: str) -> None:
        self.format_key, self.columns = key, {}
        self._fill_roles()
        self._look()

    def _on_role(self, role: str, column: str) -> None:
        if column:
            self.columns[role] = column
        else:
            self.columns.pop(role, None)
        self._look()

    def _on_guess(self) -> None:
        self.form.set_chosen("auto")
        self._on_form("auto")

    def _copy_example(self) -> None:
        """A row as this format wants it, to be pasted into a file and filled in."""
        form = FORMATS.all().get(self.format_key)
        if form is None:
            try:
                form = self._recognised().format
            except UserError:
                form = next(iter(FORMATS.all().values()))
        QGuiApplication.clipboard().setText(json.dumps(form.sample, ensure_ascii=False))
        self.example.setText("Copied")

    def _look(self) -> None:
        """Say the reason, and show some rows as they would be read."""
        try:
            found = self._recognised()
        except UserError as error:
            self.reason.say(f"{error.message} {error.hint}".strip(), "warn")
            self.use.setEnabled(False)
            for sample in self._samples:
                sample.clear()
            return
        self.reason.say(f"{found.format.title}. {found.reason}", "text2")
        self.use.setEnabled(True)
        for number, sample in enumerate(self._samples):
            if number < len(self._values):
                sample.show_row(found, self._values[number])
            else:
                sample.clear()


class _Sample(Card):
    """One row, read."""

    def __init__(self) -> None:
        super().__init__(padding=12, spacing=4)
        self.title.hide()
        self._words = QVBoxLayout()
        self._words.setSpacing(3)
        self.body.addLayout(self._words)
        self.body.addStretch(1)
        self.setMinimumHeight(round(158 * max(1.0, theme().scale)))

    def show_row(self, reader: Recognised, value: Mapping[str, Any]) -> None:
        """Show it as the format reads it, or why it cannot."""
        self.clear()
        try:
            example = reader.read(value)
        except RowError as error:
            self._add("Set aside", f"The row {error}.")
            return
        for who, text in _turns(example)[:3]:
            self._add(who, text)

    def clear(self) -> None:
        """Show nothing."""
        while (item := self._words.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    def _add(self, who: str, text: str) -> None:
        if self._words.count():
            self._words.addSpacing(5)
        self._words.addWidget(Text(who, "caption", "accent_text" if who == "Answer" else "text3"))
        line = " ".join(text.split())
        shown = line if len(line) <= _CHARACTERS else f"{line[:_CHARACTERS].rstrip()}…"
        self._words.addWidget(Text(shown, "small", wrap=True))


def _turns(example: Example) -> list[tuple[str, str]]:
    if not example.messages:
        return [("Text", example.text)]
    return [(SPEAKERS[message.role], message.content) for message in example.messages]
