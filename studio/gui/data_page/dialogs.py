"""Small questions of the Data page: rewriting a row, and going to one by its number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtWidgets import QWidget

from studio.data.conversation import RowError
from studio.data.store.editing import RowText, row_texts, with_texts
from studio.formats import Recognised
from studio.gui import figures
from studio.gui.controls import Dialog, Number, ScrollColumn, Text, TextBox
from studio.gui.data_page.conversation import SPEAKERS

_MOST_LINES, _CHARACTERS_A_LINE, _MOST_HEIGHT = 8, 70, 420
_KEPT = "The project keeps its own copy of the rows; the file stays as it is."


class EditDialog(Dialog):
    """The texts of a row, to be rewritten.

    Attributes:
        row: the row as it is to be.
    """

    def __init__(self, title: str, row: Mapping[str, Any], reader: Recognised, parent: QWidget | None = None) -> None:
        super().__init__(title, _KEPT, width=600, parent=parent)
        self.row: Mapping[str, Any] = row
        self._before, self._reader = row, reader
        self._boxes: list[tuple[RowText, TextBox]] = []
        scroll = ScrollColumn(spacing=4, margins=(0, 0, 0, 0))
        for text in row_texts(row):
            name = SPEAKERS.get(text.label, text.label.capitalize()) or "Text"
            box = TextBox(name=name, lines=_lines(text.text))
            box.setPlainText(text.text)
            box.textChanged.connect(self._on_changed)
            scroll.column.addWidget(Text(name, "caption", "text3"))
            scroll.column.addWidget(box)
            self._boxes.append((text, box))
        scroll.column.addStretch(1)
        scroll.setMinimumHeight(min(_MOST_HEIGHT, scroll.column.sizeHint().height() + 4))
        self.body.addWidget(scroll, 1)
        self.problem = Text(_KEPT, "small", "text3", wrap=True)
        self.body.addWidget(self.problem)
        self.add_button("Cancel", "quiet", self.reject)
        self.save = self.add_button("Save the row", "primary", self.accept)
        self.save.setEnabled(False)

    def _on_changed(self) -> None:
        texts = [RowText(text.path, text.label, box.toPlainText()) for text, box in self._boxes]
        self.row = with_texts(self._before, texts)
        try:
            self._reader.read(self.row)
        except RowError as error:
            self.problem.say(f"This way the row {error}.", "warn")
            self.save.setEnabled(False)
            return
        self.problem.say(_KEPT, "text3")
        self.save.setEnabled(self.row != self._before)


class GoToDialog(Dialog):
    """Asks for a row's number.

    Attributes:
        number: the field.
    """

    def __init__(self, last: int, unit: str, current: int, parent: QWidget | None = None) -> None:
        what = "Line of the file" if unit == "line" else "Row of the file"
        about = f"{what}, from 1 to {figures.count(last)}, as other programs count them: rows left out keep theirs."
        super().__init__("Go to a row", about, width=300, parent=parent)
        self.body.addWidget(Text(what, "small", "text2"))
        self.number = Number(1, max(1, last), name=what)
        self.number.setValue(max(1, current))
        self.number.selectAll()
        self.body.addWidget(self.number)
        self.add_button("Cancel", "quiet", self.reject)
        self.add_button("Go there", "primary", self.accept)
        self.number.setFocus()


def _lines(text: str) -> int:
    return min(_MOST_LINES, max(2, sum(1 + len(line) // _CHARACTERS_A_LINE for line in text.split("\n"))))
