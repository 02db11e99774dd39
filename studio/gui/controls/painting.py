"""What painted controls share: rounded boxes with a crisp edge, the focus ring, and knowing when to show it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFocusEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from studio.gui.theme import tokens

_BY_KEYBOARD = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


def antialiased(widget: QWidget) -> QPainter:
    """A painter on the widget with smooth edges."""
    painter = QPainter(widget)
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
    return painter


def fill_box(painter: QPainter, rect: QRectF, radius: float, fill: QColor | QBrush | None) -> None:
    """A filled rounded box without an edge."""
    if fill is None:
        return
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(fill)
    painter.drawRoundedRect(rect, radius, radius)


def edge_box(painter: QPainter, rect: QRectF, radius: float, colour: QColor, width: float = 1.0) -> None:
    """The edge of a rounded box, inset by half its pen so that it stays crisp."""
    half = width / 2
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, width))
    painter.drawRoundedRect(rect.adjusted(half, half, -half, -half), max(0.0, radius - half), max(0.0, radius - half))


def focus_ring(painter: QPainter, rect: QRectF, radius: float, colour: QColor | None = None) -> None:
    """Two pixels of accent inside the widget's own rectangle, with a gap in the page's colour."""
    edge_box(painter, rect, radius, colour or tokens().accent, 2)
    edge_box(painter, rect.adjusted(2, 2, -2, -2), max(0.0, radius - 2), tokens().bg, 1)


class KeyboardFocus:
    """Mix-in for widgets: `shows_focus` is true while they were reached by the keyboard, never by the pointer."""

    shows_focus = False

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.shows_focus = event.reason() in _BY_KEYBOARD
        super().focusInEvent(event)  # type: ignore[misc]
        self.update()  # type: ignore[attr-defined]

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.shows_focus = False
        super().focusOutEvent(event)  # type: ignore[misc]
        self.update()  # type: ignore[attr-defined]
