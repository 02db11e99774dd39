"""The small card beside the cross-hair: what the curves say at this point."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.theme import font, tokens
from studio.gui.tokens import RADIUS_BOX

_PADDING, _GAP, _SWATCH = 10, 12, 16


@dataclass(frozen=True)
class ReadoutRow:
    """A line: colour of the curve, its name, its value. `is_area` draws a square for it, else a stroke."""

    name: str
    value: str
    colour: QColor
    is_area: bool = False


class Readout(QWidget):
    """Shown over a plot; the pointer goes through it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._title = ""
        self._rows: list[ReadoutRow] = []
        self.hide()

    def text(self) -> str:
        """All it says, for assistive technology and tests."""
        return "; ".join([self._title, *(f"{row.name} {row.value}" for row in self._rows)])

    def show_at(self, x: float, area: QRectF, title: str, rows: list[ReadoutRow]) -> None:
        """Show beside `x` within `area` (both in the parent's pixels), on the side where there is room."""
        self._title, self._rows = title, rows
        width, height = self._size()
        left = x + _GAP if x + _GAP + width <= area.right() else x - _GAP - width
        host = self.parentWidget()
        top = min(area.top() + 8, host.height() - height - 4) if host is not None else area.top()
        self.setGeometry(round(max(area.left(), left)), round(top), round(width), round(height))
        self.setAccessibleName(self.text())
        self.show()
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter, box = tokens(), antialiased(self), QRectF(self.rect())
        fill_box(painter, box, RADIUS_BOX, t.raised)
        edge_box(painter, box, RADIUS_BOX, t.border)
        line = box.adjusted(_PADDING, _PADDING - 3, -_PADDING, 0)
        line.setHeight(_line())
        painter.setFont(font("small_strong"))
        painter.setPen(t.text)
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, self._title)
        for row in self._rows:
            line.translate(0, _line())
            painter.setPen(QPen(row.colour, 2))
            middle = line.center().y()
            if row.is_area:
                painter.fillRect(QRectF(line.left(), middle - 4, 8, 8), row.colour)
            else:
                painter.fillRect(QRectF(line.left(), middle - 1, 10, 2), row.colour)
            painter.setPen(t.text2)
            painter.setFont(font("small"))
            painter.drawText(line.adjusted(_SWATCH, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, row.name)
            painter.setPen(t.text)
            painter.setFont(font("small_strong"))
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, row.value)

    def _size(self) -> tuple[float, float]:
        words, strong = QFontMetricsF(font("small")), QFontMetricsF(font("small_strong"))
        widest = max(
            (
                _SWATCH + words.horizontalAdvance(row.name) + 14 + strong.horizontalAdvance(row.value)
                for row in self._rows
            ),
            default=0.0,
        )
        width = max(widest, strong.horizontalAdvance(self._title)) + 2 * _PADDING
        return width, (len(self._rows) + 1) * _line() + 2 * _PADDING - 6


def _line() -> int:
    """Pixels of a line."""
    return max(17, math.ceil(QFontMetricsF(font("small")).height()))
