"""The targets as cards of which one is on."""

from __future__ import annotations

import re

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QRadioButton, QSizePolicy, QWidget

from studio.export.forecast import TargetForecast
from studio.export.target import TARGETS, Target
from studio.gui import figures
from studio.gui.controls.painting import KeyboardFocus, antialiased, edge_box, fill_box, focus_ring
from studio.gui.controls.toggles import paint_radio
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import at_text_size, font, icon_size, theme, tokens
from studio.gui.tokens import RADIUS_CARD

_HEIGHT, _COMPACT_HEIGHT = 102, 66
_WRAP = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop)
# Looks only; a target without one has a plain file's.
_ICONS = {"gguf": Icon.FILE_IN, "merged": Icon.MODEL, "adapter": Icon.MEMORY, "gguf_adapter": Icon.LINK}


class TargetCard(KeyboardFocus, QRadioButton):
    """One target: its name, what it is for, and why it cannot be where it cannot."""

    def __init__(self, target: Target, parent: QWidget | None = None) -> None:
        super().__init__(target.title, parent)
        self.target = target
        self._detail = ""
        self._is_compact = False
        self._icon = _ICONS.get(target.key, Icon.FILE)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.say(TargetForecast())

    def say(self, forecast: TargetForecast) -> None:
        """What it would take, or why it cannot be made."""
        self.setEnabled(not forecast.problem)
        has_size = forecast.num_bytes and not self.target.is_verified  # with types each has a size of its own
        self._detail = figures.gigabytes(forecast.num_bytes) if has_size else ""
        size = f" {self._detail}." if self._detail else ""
        self.setToolTip(forecast.problem or f"{self.target.summary}{size}")
        self.setAccessibleDescription(forecast.problem or self.target.summary)
        self.update()

    def set_compact(self, is_compact: bool) -> None:
        """Without the summary, where there is little height."""
        if is_compact != self._is_compact:
            self._is_compact = is_compact
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        grown = max(1.0, theme().scale) - 1
        if self._is_compact:
            return QSize(140, round(_COMPACT_HEIGHT + 20 * grown))
        return QSize(140, round(_HEIGHT + 56 * grown))

    minimumSizeHint = sizeHint

    def hitButton(self, position: object) -> bool:
        return True

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect, is_on = QRectF(self.rect()), self.isChecked()
        if not self.isEnabled():
            painter.setOpacity(0.55)
        hovered = self.underMouse() and self.isEnabled() and not is_on
        fill_box(painter, rect, RADIUS_CARD, t.hover if hovered else t.surface)
        edge_box(painter, rect, RADIUS_CARD, t.accent if is_on else t.border, 2 if is_on else 1)
        paint_icon(painter, self._icon, QRectF(12, 11, 22, 20), t.accent_text if is_on else t.text2, at_text_size(18))
        mark = icon_size()
        paint_radio(painter, QRectF(rect.right() - 14 - mark, 21 - mark / 2, mark, mark), is_on=is_on)
        room = rect.width() - 28
        painter.setFont(font("item"))
        painter.setPen(t.text)
        line = 20 * max(1.0, theme().scale)
        title = QFontMetricsF(painter.font()).elidedText(self.text(), Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRectF(14, 38, room, line), Qt.AlignmentFlag.AlignVCenter, title)
        painter.setFont(font("small"))
        painter.setPen(t.text2)
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        beside = QRectF(40, 12, rect.width() - 62 - mark, 18)
        if painter.fontMetrics().horizontalAdvance(self._detail) <= beside.width():  # else the tool tip has it
            painter.drawText(beside, flags, self._detail)
        if not self._is_compact:
            painter.drawText(QRectF(14, 38 + line, room, 1.8 * line), _WRAP, self._words(painter, room))
        if self.shows_focus:
            focus_ring(painter, rect, RADIUS_CARD)

    def _words(self, painter: QPainter, room: float) -> str:
        """The summary, or its first clause where it takes more than two lines."""
        whole = self.target.summary.rstrip(".")
        height = painter.boundingRect(QRectF(0, 0, room, 200), _WRAP, whole).height()
        return whole if height <= 2.4 * painter.fontMetrics().lineSpacing() else re.split(r"[;,]|\. ", whole)[0]


class TargetCards(QWidget):
    """All targets in a row.

    Signals:
        chosen(str): the key of another one.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        self._group = QButtonGroup(self)
        self.cards = {target.key: TargetCard(target) for target in _ordered()}
        for card in self.cards.values():
            self._group.addButton(card)
            row.addWidget(card, 1)
        next(iter(self.cards.values())).setChecked(True)
        self._group.buttonToggled.connect(self._on_toggled)

    def chosen_key(self) -> str:
        """The one that is on."""
        return next(key for key, card in self.cards.items() if card.isChecked())

    def say(self, forecasts: dict[str, TargetForecast]) -> None:
        """What each would take; one that cannot be made any more is let go of."""
        for key, forecast in forecasts.items():
            self.cards[key].say(forecast)
        if not self.cards[self.chosen_key()].isEnabled():
            next(card for card in self.cards.values() if card.isEnabled()).setChecked(True)

    def set_compact(self, is_compact: bool) -> None:
        """Names and sizes alone, where there is little height."""
        for card in self.cards.values():
            card.set_compact(is_compact)

    def _on_toggled(self, card: TargetCard, is_on: bool) -> None:
        if is_on:
            self.chosen.emit(card.target.key)


def _ordered() -> list[Target]:
    """Those whose files are checked first: they are what most people come for."""
    return sorted(TARGETS.all().values(), key=lambda target: not target.is_verified)
