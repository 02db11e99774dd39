"""A section's name in the column at the left; pressing it leads there."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.gui.controls import Button
from studio.gui.controls.painting import antialiased, fill_box, focus_ring
from studio.gui.theme import font, tokens
from studio.gui.tokens import RADIUS_CONTROL


class IndexLink(Button):
    """A quiet button with its words at the left."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, "quiet", parent=parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(120, super().sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect = QRectF(self.rect())
        if self.underMouse() or self.isDown():
            fill_box(painter, rect, RADIUS_CONTROL, t.hover)
        if self.shows_focus:
            focus_ring(painter, rect, RADIUS_CONTROL)
        painter.setFont(font("body_strong"))
        painter.setPen(t.text2)
        painter.drawText(rect.adjusted(12, 0, -8, 0), Qt.AlignmentFlag.AlignVCenter, self.text())
