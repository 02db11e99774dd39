"""Where the person writes: Enter sends, Shift+Enter begins a line, Esc stops an answer."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Button, IconButton, Text
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.icons import Icon
from studio.gui.theme import font, theme, tokens
from studio.gui.tokens import RADIUS_COMPOSER

_NEARLY_FULL = 0.85
_LINES = (2, 7)
_CHIP = 52  # letters of a question that is offered as a button


class _Box(QPlainTextEdit):
    """Grows with its text."""

    sent = Signal()
    escaped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Message")
        self.setTabChangesFocus(True)
        self.viewport().setAutoFillBackground(False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(2)
        self.textChanged.connect(self.updateGeometry)
        self._dress()
        theme().changed.connect(self._dress)

    def sizeHint(self) -> QSize:
        lines = min(_LINES[1], max(_LINES[0], int(self.document().size().height())))
        return QSize(240, round(self.fontMetrics().lineSpacing() * lines + 8))

    minimumSizeHint = sizeHint

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.escaped.emit()
        else:
            super().keyPressEvent(event)

    def _dress(self) -> None:
        self.setFont(font("body"))
        palette = self.palette()
        palette.setColor(palette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(palette.ColorRole.Text, tokens().text)
        palette.setColor(palette.ColorRole.PlaceholderText, tokens().text3)
        self.setPalette(palette)


class Composer(QFrame):
    """The composer.

    Attributes:
        box: the text field.

    Signals:
        sent(str): what was written.
        stop_wanted(), edit_cancelled()
    """

    sent = Signal(str)
    stop_wanted = Signal()
    edit_cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._can_send, self._is_answering = False, False
        self.box = _Box()
        self.hint = Text("Shift Enter for a new line", "small", "text3")
        self.context = Text("", "small", "text3")
        self.stop = Button("Stop", "secondary", icon=Icon.STOP, compact=True)
        self.send = Button("Send", "primary", icon=Icon.SEND, compact=True)
        self._editing = QWidget()
        self._lay_out()
        self._connect()
        self.set_state(can_send=False, is_answering=False, placeholder="")

    def set_state(self, *, can_send: bool, is_answering: bool, placeholder: str) -> None:
        """What can be done now."""
        self._can_send, self._is_answering = can_send, is_answering
        self.box.setPlaceholderText(placeholder)
        self.stop.setVisible(is_answering)
        self._refresh()

    def say_context(self, share: float) -> None:
        """How full the model's context is; not-a-number says nothing."""
        is_full = share >= _NEARLY_FULL
        self.context.say(
            "" if math.isnan(share) else f"context {figures.share(share)} full", "warn" if is_full else "text3"
        )
        self.context.setToolTip("Start a new conversation or shorten this one before it is full." if is_full else "")

    def edit(self, text: str) -> None:
        """Write an earlier question anew."""
        self._editing.show()
        self.write(text)
        self.box.selectAll()

    def write(self, text: str) -> None:
        """Put words here, ready to be sent."""
        self.box.setPlainText(text)
        self.box.setFocus()

    def end_edit(self) -> None:
        """Back to the next question."""
        self._editing.hide()

    @property
    def is_editing(self) -> bool:
        """Whether an earlier question is written anew."""
        return not self._editing.isHidden()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect, is_on = QRectF(self.rect()), self.box.hasFocus()
        fill_box(painter, rect, RADIUS_COMPOSER, t.surface)
        edge_box(painter, rect, RADIUS_COMPOSER, t.accent if is_on else t.field_edge, 2 if is_on else 1)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 10, 10)
        column.setSpacing(6)
        row = QHBoxLayout(self._editing)
        row.setContentsMargins(2, 0, 0, 0)
        row.addWidget(
            Text("Editing an earlier question; the old one stays as a branch.", "small_strong", "accent_text")
        )
        row.addStretch(1)
        cross = IconButton(Icon.CLOSE, "Leave the question as it is")
        cross.clicked.connect(self._on_cancelled)
        row.addWidget(cross)
        self._editing.hide()
        column.addWidget(self._editing)
        column.addWidget(self.box)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.setContentsMargins(4, 0, 0, 0)
        foot.addWidget(self.hint)
        foot.addStretch(1)
        foot.addWidget(self.context)
        foot.addSpacing(6)
        foot.addWidget(self.stop)
        foot.addWidget(self.send)
        column.addLayout(foot)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def _connect(self) -> None:
        self.box.sent.connect(self._on_sent)
        self.box.escaped.connect(self._on_escaped)
        self.box.textChanged.connect(self._refresh)
        self.box.cursorPositionChanged.connect(self.update)
        self.send.clicked.connect(self._on_sent)
        self.stop.clicked.connect(self.stop_wanted)

    def _refresh(self) -> None:
        has_words = bool(self.box.toPlainText().strip())
        self.send.setEnabled(self._can_send and has_words and not self._is_answering)
        self.update()

    def _on_sent(self) -> None:
        if self.send.isEnabled():
            text = self.box.toPlainText().strip()
            self.box.clear()
            self.sent.emit(text)

    def _on_escaped(self) -> None:
        if self._is_answering:
            self.stop_wanted.emit()
        elif self.is_editing:
            self._on_cancelled()

    def _on_cancelled(self) -> None:
        self.end_edit()
        self.box.clear()
        self.edit_cancelled.emit()


class Chips(QWidget):
    """Questions to begin with, as buttons.

    Signals:
        chosen(str): a question.
    """

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)

    def set_questions(self, questions: Sequence[str]) -> None:
        """Show these, two in a line."""
        while (item := self._column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        if questions:
            caption = Text("Begin with a question from rows that it never learns from", "small", "text3")
            self._column.addWidget(caption, 0, Qt.AlignmentFlag.AlignHCenter)
        for pair in (questions[:2], questions[2:4]):
            self._column.addWidget(self._line(pair))

    def _line(self, questions: Sequence[str]) -> QWidget:
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        for question in questions:
            words = " ".join(question.split())
            button = Button(words if len(words) <= _CHIP else f"{words[: _CHIP - 1]}…", "secondary", compact=True)
            button.setToolTip(f"<qt>{html.escape(question)}</qt>")  # rows may hold what Qt would take for HTML
            button.clicked.connect(lambda _=False, question=question: self.chosen.emit(question))
            row.addWidget(button)
        row.addStretch(1)
        return line
