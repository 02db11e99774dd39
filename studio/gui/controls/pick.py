"""A field that is filled by choosing: it looks like a field and acts like a button."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPaintEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QWidget

from studio.gui.controls.fields import paint_field
from studio.gui.controls.painting import KeyboardFocus
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import CONTROL_HEIGHT


class PickButton(KeyboardFocus, QPushButton):
    """A field whose value is chosen in a dialog or a menu."""

    def __init__(
        self,
        placeholder: str,
        *,
        icon: Icon | None = None,
        name: str = "",
        has_caret: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._placeholder, self._icon, self._name, self._has_caret = placeholder, icon, name or placeholder, has_caret
        self._value = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAutoDefault(False)
        self.say("")

    def say(self, value: str) -> None:
        """What was chosen; "" shows the placeholder."""
        self._value = value
        self.setAccessibleName(f"{self._name}: {value or self._placeholder}")
        self.setToolTip(value)
        self.update()

    def value(self) -> str:
        """What it says."""
        return self._value

    def sizeHint(self) -> QSize:
        return QSize(180, round(CONTROL_HEIGHT * max(1.0, theme().scale)))

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = paint_field(self, focused=self.shows_focus or self.isDown(), wrong=False), tokens()
        left = 12.0
        if self._icon:
            paint_icon(painter, self._icon, QRectF(10, 0, icon_size(), self.height()), t.text3, icon_size())
            left = 18.0 + icon_size()
        painter.setFont(font("body"))
        painter.setPen(t.text if self._value and self.isEnabled() else t.text3)
        box = QRectF(left, 0, self.width() - left - (30 if self._has_caret else 12), self.height())
        text = self._value or self._placeholder
        cut = Qt.TextElideMode.ElideMiddle if self._value else Qt.TextElideMode.ElideRight
        shown = QFontMetricsF(font("body")).elidedText(text, cut, box.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, shown)
        if self._has_caret:
            caret = QRectF(self.width() - 26, 0, 16, self.height())
            paint_icon(painter, Icon.CARET_DOWN, caret, t.text3, icon_size(12))
