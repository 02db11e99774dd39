"""Writing what a model should have said, in place under its answer."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from studio.gui.controls import Button, Check, Elided, Text, TextBox
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import at_text_size, theme, tokens
from studio.gui.tokens import RADIUS_CARD, mixed

_LARGE = 1.2


class CorrectionPanel(QFrame):
    """The panel.

    Signals:
        added(str, bool): the corrected answer, and whether the old one is kept as the worse of a pair.
        closed()
    """

    added = Signal(str, bool)
    closed = Signal()

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.setAccessibleName("Correct this answer")
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 12)
        column.setSpacing(9)
        head = QHBoxLayout()
        head.setContentsMargins(24, 0, 0, 0)
        head.addWidget(Text("Correct this answer", "body_strong"))
        self.row = Elided("", "small", "text3")
        self.row.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self.row, 1)
        column.addLayout(head)
        self.box = TextBox("What it should have said", name="Corrected answer", lines=4)
        self.box.setPlainText(answer)
        self.box.textChanged.connect(self._on_text)
        column.addWidget(self.box)
        self.keep = Check("Keep old as rejected")
        self.keep.setChecked(True)
        self.keep.setToolTip(
            "The pair also goes to data/preferences.jsonl, for methods that learn from better and worse"
        )
        cancel, self.add = Button("Cancel", "quiet", compact=True), Button("Add to data", "primary", compact=True)
        cancel.clicked.connect(self.closed)
        self.add.clicked.connect(self._on_add)
        foot = QHBoxLayout()
        foot.setSpacing(2)
        if theme().scale > _LARGE:  # one below the other, or half of "Add to data" would be out of sight
            column.addWidget(self.keep)
            foot.addStretch(1)
        else:
            foot.addWidget(self.keep, 1)
        foot.addWidget(cancel)
        foot.addWidget(self.add)
        column.addLayout(foot)
        self._before = answer
        self._on_text()

    def say_row(self, number: int) -> None:
        """Which row it becomes."""
        self.row.say(f"adds row {number:,} to your data")

    def set_busy(self, words: str) -> None:
        """It is being written."""
        self.row.say(words)
        self.add.setEnabled(False)

    def set_ready(self) -> None:
        """It could not be written; it can be tried again."""
        self.row.say("")
        self._on_text()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect = QRectF(self.rect())
        fill_box(painter, rect, RADIUS_CARD, t.surface)
        edge_box(painter, rect, RADIUS_CARD, mixed(t.border, t.accent, 0.6))
        box = QRectF(12, 10, 18, 18 * max(1.0, theme().scale))
        paint_icon(painter, Icon.EDIT, box, t.accent_text, at_text_size(14))

    def _on_text(self) -> None:
        text = self.box.toPlainText()
        self.add.setEnabled(bool(text.strip()) and text != self._before)

    def _on_add(self) -> None:
        self.added.emit(self.box.toPlainText().strip(), self.keep.isChecked())
