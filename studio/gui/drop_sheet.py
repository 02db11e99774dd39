"""What covers the window while something is dragged over it: what letting go would do, or why it cannot be used."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.dropping import Dropped
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, tokens
from studio.gui.tokens import RADIUS_CARD, faded


class DropSheet(QWidget):
    """The sheet.

    Attributes:
        offered: what would be taken, None for what cannot be used.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.offered: Dropped | None = None
        self._text = ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def offer(self, dropped: Dropped) -> None:
        """Say what letting go does."""
        self.offered = dropped
        self._show(f"Drop to {dropped.sentence[0].lower()}{dropped.sentence[1:]}")

    def refuse(self, text: str) -> None:
        """Say why it cannot be used."""
        self.offered = None
        self._show(text)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        soft, ink = (t.accent_soft, t.accent) if self.offered else (t.danger_soft, t.danger)
        painter.fillRect(self.rect(), faded(t.bg, 0.6))
        box = QRectF(self.rect()).adjusted(24, 24, -24, -24)
        fill_box(painter, box, RADIUS_CARD, faded(soft, 0.9))
        painter.setPen(QPen(ink, 2, Qt.PenStyle.DashLine))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, RADIUS_CARD, RADIUS_CARD)
        middle = box.center()
        icon = Icon.FILE_IN if self.offered else Icon.ERROR
        paint_icon(painter, icon, QRectF(middle.x() - 20, middle.y() - 56, 40, 40), ink, 32)
        painter.setFont(font("heading"))
        painter.setPen(t.text)
        flags = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop) | int(Qt.TextFlag.TextWordWrap)
        painter.drawText(QRectF(middle.x() - 300, middle.y(), 600, 120), flags, self._text)

    def _show(self, text: str) -> None:
        self._text = text
        self.setAccessibleName(text)
        self.setGeometry(self._window.rect())
        self.show()
        self.raise_()
        self.update()
