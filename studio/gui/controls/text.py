"""Words on a page: a label in a role of the type scale. Plain text always: a model's output is never read as HTML."""

from __future__ import annotations

import re
from typing import Literal

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from studio.gui.theme import Role, font, theme, tokens

Tone = Literal["text", "text2", "text3", "accent_text", "warn", "danger", "info", "on_accent"]

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:[kMGT]?B|%|min|h|s)(?!\w))")
_FIRM = "\N{NO-BREAK SPACE}"


class Text(QLabel):
    """A label. Where it wraps, a figure and its unit stay on one line."""

    def __init__(
        self,
        text: str = "",
        role: Role = "body",
        tone: Tone = "text",
        *,
        wrap: bool = False,
        selectable: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make one.

        Args:
            text: what it says.
            role: of the type scale.
            tone: which colour, by its token.
            wrap: break lines and take the height they need.
            selectable: can be selected and copied.
        """
        super().__init__(parent)
        self._role, self._tone = role, tone
        self._keeps_units = wrap and not selectable  # what is copied has spaces as they were
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wrap)
        self.setText(text)
        if wrap:
            self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        if selectable:
            self.setTextInteractionFlags(
                Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
            )
            self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._dress()
        theme().changed.connect(self._dress)

    def text(self) -> str:
        return super().text().replace(_FIRM, " ") if self._keeps_units else super().text()

    def setText(self, text: str) -> None:
        super().setText(_BEFORE_UNIT.sub(_FIRM, text) if self._keeps_units else text)

    def set_tone(self, tone: Tone) -> None:
        """Change the colour."""
        if tone != self._tone:
            self._tone = tone
            self._dress()

    def set_role(self, role: Role) -> None:
        """Change the size."""
        if role != self._role:
            self._role = role
            self._dress()

    def say(self, text: str, tone: Tone | None = None) -> None:
        """Change the words, and the colour with them."""
        if text != self.text():
            self.setText(text)
            self._fit()
        if tone is not None:
            self.set_tone(tone)

    def sizeHint(self) -> QSize:
        # Qt guesses a shape for wrapped text before it knows the width, and rows then stand too far apart.
        hint = super().sizeHint()
        return QSize(hint.width(), self.minimumHeight()) if self.wordWrap() and self.minimumHeight() else hint

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit()

    def _fit(self) -> None:
        # A wrapping label in nested layouts is given too little height; this says what it needs.
        if self.wordWrap() and self.width() > 0:
            self.setMinimumHeight(0)  # Qt never answers less than the minimum that stands
            self.setMinimumHeight(max(0, self.heightForWidth(self.width())))

    def _dress(self) -> None:
        self.setFont(font(self._role))
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.WindowText, getattr(tokens(), self._tone))
        self.setPalette(palette)


class Elided(Text):
    """One line that ends in an ellipsis where it does not fit; the whole text is its tool tip."""

    def __init__(
        self,
        text: str = "",
        role: Role = "body",
        tone: Tone = "text",
        *,
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, role, tone, parent=parent)
        self._mode = mode
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(24, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self.font())
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        shown = self.fontMetrics().elidedText(self.text(), self._mode, self.width())
        alignment = int(self.alignment() | Qt.TextFlag.TextSingleLine)
        painter.drawText(QRect(0, 0, self.width(), self.height()), alignment, shown)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            fits = self.fontMetrics().horizontalAdvance(self.text()) <= self.width()
            self.setToolTip("" if fits else self.text())
        return super().event(event)
