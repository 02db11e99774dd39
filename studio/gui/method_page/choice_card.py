"""A card that is one of several: it carries a radio button, may be pressed anywhere, and has an accent edge when on."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls import Badge, Card, Elided, Radio, Text
from studio.gui.controls.painting import antialiased, edge_box
from studio.gui.theme import theme, tokens
from studio.gui.tokens import RADIUS_CARD

_GAP = 8


class ChoiceCard(Card):
    """One of several.

    Attributes:
        head: the line with the radio button, the title and a badge; add extras to its right.
        content: layout below it, in line with the title.

    Signals:
        chosen(str): its key, when the person chose it; not when it was set.
    """

    chosen = Signal(str)

    def __init__(self, key: str, title: str, summary: str, parent: QWidget | None = None) -> None:
        super().__init__(padding=16, spacing=6, parent=parent)
        self.key = key
        self.radio = Radio("")
        self.radio.setAccessibleName(title)
        self.radio.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.name = Elided(title, "item")
        self.name.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.badge = Badge("", "good")
        self.badge.hide()
        self.summary = Text(summary, "small", "text2", wrap=True)
        self.head = QHBoxLayout()
        self.head.setSpacing(_GAP)
        for widget in (self.radio, self.name, self.badge):
            self.head.addWidget(widget)
        self.head.addStretch(1)
        self.content = QVBoxLayout()
        self.content.setSpacing(6)
        self.content.addWidget(self.summary)
        self.body.setSpacing(2)
        self.body.addLayout(self.head)
        self.body.addLayout(self.content)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.radio.setAutoExclusive(False)
        self.radio.clicked.connect(self._on_clicked)
        self._fit()
        theme().changed.connect(self._fit)

    def set_chosen(self, is_on: bool) -> None:
        """Put it on or off, silently."""
        self.radio.setChecked(is_on)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.radio.setFocus(Qt.FocusReason.MouseFocusReason)
            self._on_clicked()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.radio.isChecked():
            edge_box(antialiased(self), QRectF(self.rect()), RADIUS_CARD, tokens().accent, 2)

    def _fit(self) -> None:
        """What is below the title begins where it does."""
        self.content.setContentsMargins(self.radio.sizeHint().width() + _GAP, 0, 0, 0)

    def _on_clicked(self) -> None:
        self.radio.setChecked(True)
        self.update()
        self.chosen.emit(self.key)


def choose(cards: Mapping[str, ChoiceCard], key: str) -> None:
    """Put one card on and all others off."""
    for known, card in cards.items():
        card.set_chosen(known == key)
