"""Text of several lines that ends in an ellipsis after some of them; the whole of it is the tool tip."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPaintEvent, QTextLayout, QTextOption
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.gui.controls.painting import antialiased
from studio.gui.theme import Role, font, theme, tokens

_LINE_HEIGHT = 1.2


class Clamped(QWidget):
    """At most `lines` lines of plain text."""

    def __init__(
        self, text: str, role: Role = "small", tone: str = "text", *, lines: int = 3, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._text, self._role, self._tone, self._lines = text, role, tone, lines
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setAccessibleName(text)
        self.setToolTip(text)
        theme().changed.connect(self.updateGeometry)

    def set_lines(self, lines: int) -> None:
        """Show more or fewer."""
        self._lines = lines
        self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return round(len(self._laid_out(width)) * self._step()) + 1

    def sizeHint(self) -> QSize:
        return QSize(120, round(self._step()) + 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, metrics = antialiased(self), QFontMetricsF(font(self._role))
        painter.setFont(font(self._role))
        painter.setPen(getattr(tokens(), self._tone))
        for at, line in enumerate(self._laid_out(self.width())):
            shown = metrics.elidedText(line, Qt.TextElideMode.ElideRight, self.width())
            painter.drawText(QPointF(0, at * self._step() + metrics.ascent()), shown)

    def _step(self) -> float:
        return QFontMetricsF(font(self._role)).height() * _LINE_HEIGHT / 1.1

    def _laid_out(self, width: int) -> list[str]:
        """The lines; the last of too many holds all the rest, to be elided."""
        flat = " ".join(self._text.split()) or "(empty)"
        layout = QTextLayout(flat, font(self._role))
        layout.setTextOption(QTextOption(Qt.AlignmentFlag.AlignLeft))
        found: list[str] = []
        layout.beginLayout()
        while (line := layout.createLine()).isValid():
            line.setLineWidth(max(20, width))
            if len(found) == self._lines - 1:
                found.append(flat[line.textStart() :])
                break
            found.append(flat[line.textStart() : line.textStart() + line.textLength()].rstrip())
        layout.endLayout()
        return found
