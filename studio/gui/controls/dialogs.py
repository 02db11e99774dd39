"""What floats above the page and asks: a card with a shadow over a shaded window, and the one-question form of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QKeySequence, QPainter, QPaintEvent, QShortcut
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from studio.gui.controls.buttons import Button, ButtonRole
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.controls.text import Text
from studio.gui.help import show_help
from studio.gui.theme import at_text_size, tokens
from studio.gui.tokens import CONTROL_GAP, RADIUS_CARD

SHADOW = 16


def paint_floating(painter: QPainter, rect: QRectF) -> None:
    """A floating card inside `rect`, which leaves `SHADOW` pixels around it for the shadow."""
    alpha = 0.45 if tokens().is_dark else 0.12
    for ring in range(10):
        grown = rect.adjusted(-ring, 4 - ring, ring, 4 + ring)
        shade = QColor(0, 0, 0)
        shade.setAlphaF(alpha / 10 * (1 - ring / 14))
        fill_box(painter, grown, RADIUS_CARD + ring, shade)
    fill_box(painter, rect, RADIUS_CARD, tokens().raised)
    edge_box(painter, rect, RADIUS_CARD, tokens().border)


class Dialog(QDialog):
    """A window-modal card: title, content, and a row of buttons with the primary last.

    Attributes:
        body: layout for the content.
    """

    def __init__(self, title: str, about: str, *, width: int = 460, parent: QWidget | None = None) -> None:
        """Make one.

        Args:
            about: what it is for: a screen reader tells it, and F1 where a control says nothing itself.
        """
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(about)
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        self.setMinimumWidth(at_text_size(width) + 2 * SHADOW)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(SHADOW + 20, SHADOW + 18, SHADOW + 20, SHADOW + 16)
        outer.setSpacing(12)
        self.title = Text(title, "heading", wrap=True)
        outer.addWidget(self.title)
        self.body = QVBoxLayout()
        self.body.setSpacing(10)
        outer.addLayout(self.body, 1)
        self._row = QHBoxLayout()
        self._row.setSpacing(CONTROL_GAP)
        self._row.addStretch(1)
        outer.addLayout(self._row)
        QShortcut(QKeySequence("F1"), self, lambda: show_help(self))

    def add_button(self, text: str, role: ButtonRole, slot: Callable[[], object]) -> Button:
        """Add a button at the right end of the row."""
        button = Button(text, role)
        button.clicked.connect(lambda: slot())
        button.setDefault(role in ("primary", "danger"))
        self._row.addWidget(button)
        return button

    def paintEvent(self, event: QPaintEvent) -> None:
        rect = QRectF(self.rect()).adjusted(SHADOW, SHADOW, -SHADOW, -SHADOW)
        paint_floating(antialiased(self), rect)


def ask(
    parent: QWidget, title: str, text: str, answers: list[tuple[str, ButtonRole]], *, escape: int | None = None
) -> int | None:
    """Ask one question and wait for the answer.

    Args:
        answers: (words, role) from left to right.
        escape: what Esc means; None.

    Returns:
        The number of the answer; `escape` when it was closed without one.
    """
    dialog = Dialog(title, text, parent=parent)
    dialog.body.addWidget(Text(text, "body", "text2", wrap=True))
    chosen: list[int] = []

    def answer(number: int) -> None:
        chosen.append(number)
        dialog.accept()

    for number, (words, role) in enumerate(answers):
        dialog.add_button(words, role, partial(answer, number))
    dialog.exec()
    dialog.deleteLater()
    return chosen[0] if chosen else escape


def confirm(parent: QWidget, title: str, text: str, action: str, *, danger: bool = False) -> bool:
    """Whether the person says yes to `action`, a verb with its object."""
    return ask(parent, title, text, [("Cancel", "quiet"), (action, "danger" if danger else "primary")]) == 1
