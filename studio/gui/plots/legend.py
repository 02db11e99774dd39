"""Which line or area is which: swatches with names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.gui.controls.painting import antialiased
from studio.gui.theme import font, tokens

Mark = Literal["line", "area", "ring"]
_SWATCH = {"line": 14, "area": 9, "ring": 9}
_AFTER, _BETWEEN = 6, 13


@dataclass(frozen=True)
class Entry:
    """A name and how its curve is drawn. `colour` is a token's or a memory kind's name, or a colour itself."""

    name: str
    colour: str | QColor
    mark: Mark = "line"
    dashes: tuple[float, ...] = ()


class Legend(QWidget):
    """One row of entries; what does not fit is left out at the end."""

    def __init__(self, entries: Sequence[Entry] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: list[Entry] = []
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.set_entries(entries)

    def set_entries(self, entries: Sequence[Entry]) -> None:
        """Show others."""
        if list(entries) == self._entries:
            return
        self._entries = list(entries)
        self.setAccessibleName("Shown: " + ", ".join(entry.name for entry in entries))
        self.setToolTip(", ".join(entry.name for entry in entries))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(font("small"))
        width = sum(_width(entry, metrics) + _BETWEEN for entry in self._entries)
        return QSize(round(width), round(metrics.height()) + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, metrics, left = antialiased(self), QFontMetricsF(font("small")), 0.0
        painter.setFont(font("small"))
        for entry in self._entries:
            width = _width(entry, metrics)
            if left + width > self.width():
                return
            self._paint_entry(painter, entry, left)
            left += width + _BETWEEN

    def _paint_entry(self, painter: QPainter, entry: Entry, left: float) -> None:
        swatch, middle = _SWATCH[entry.mark], self.height() / 2
        colour = _colour(entry.colour)
        if entry.mark == "area":
            painter.fillRect(QRectF(left, middle - 4, 9, 9), colour)
        elif entry.mark == "ring":
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour, 1.6))
            painter.drawEllipse(QRectF(left + 1, middle - 3.5, 7, 7))
        else:
            stroke = QPen(colour, 2)
            if entry.dashes:
                stroke.setDashPattern(entry.dashes)
            stroke.setCapStyle(Qt.PenCapStyle.FlatCap)
            painter.setPen(stroke)
            painter.drawLine(round(left), round(middle), round(left + swatch), round(middle))
        painter.setPen(tokens().text2)
        box = QRectF(left + swatch + _AFTER, 0, self.width(), self.height())
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, entry.name)


def _width(entry: Entry, metrics: QFontMetricsF) -> float:
    return _SWATCH[entry.mark] + _AFTER + metrics.horizontalAdvance(entry.name)


def _colour(colour: str | QColor) -> QColor:
    if isinstance(colour, QColor):
        return colour
    kinds = tokens().kinds
    return kinds[colour] if colour in kinds else getattr(tokens(), colour)
