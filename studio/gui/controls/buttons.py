"""Buttons: Qt's own behaviour, painted by us."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPaintEvent
from PySide6.QtWidgets import QDialog, QPushButton, QSizePolicy, QWidget

from studio.gui.controls.painting import KeyboardFocus, antialiased, edge_box, fill_box, focus_ring
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import COMPACT_HEIGHT, CONTROL_HEIGHT, RADIUS_CONTROL

ButtonRole = Literal["primary", "secondary", "quiet", "danger"]
_GAP = 8


class Button(KeyboardFocus, QPushButton):
    """A button with a verb on it."""

    def __init__(
        self,
        text: str,
        role: ButtonRole = "secondary",
        *,
        icon: Icon | None = None,
        compact: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make one.

        Args:
            text: verb and object ("Use 4,126 rows").
            role: "primary" once a page; "quiet" has no box; "danger" deletes.
            icon: before the words.
            compact: 28 px high, as in cards and banners.
        """
        super().__init__(text, parent)
        self.role = role
        self.glyph = icon
        self._height = COMPACT_HEIGHT if compact else CONTROL_HEIGHT
        self._padding = 10 if compact else 14
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAutoDefault(False)
        theme().changed.connect(self.updateGeometry)

    def set_role(self, role: ButtonRole) -> None:
        """Become the page's primary button, or stop being it."""
        self.role = role
        self.update()

    def set_glyph(self, icon: Icon | None) -> None:
        """Change the icon."""
        self.glyph = icon
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        width = 2 * self._padding
        if self.text():
            self.ensurePolished()
            width += _advance(self)
        if self.glyph:
            width += icon_size() + (_GAP if self.text() else 0)
        return QSize(max(width, self._height), round(self._height * max(1.0, theme().scale)))

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        rect = QRectF(self.rect())
        fill, ink, edge = self._colours()
        fill_box(painter, rect, RADIUS_CONTROL, fill)
        if edge is not None:
            edge_box(painter, rect, RADIUS_CONTROL, edge)
        if self.shows_focus:
            focus_ring(painter, rect, RADIUS_CONTROL, tokens().text if self.role == "primary" else None)
        painter.setFont(font("body_strong"))
        words = _advance(self) if self.text() else 0
        total = words + (icon_size() + (_GAP if self.text() else 0) if self.glyph else 0)
        left = (rect.width() - total) / 2
        if self.glyph:
            paint_icon(painter, self.glyph, QRectF(left, 0, icon_size(), rect.height()), ink, icon_size())
            left += icon_size() + _GAP
        painter.setPen(ink)
        painter.drawText(QRectF(left, 0, words + 2, rect.height()), Qt.AlignmentFlag.AlignVCenter, self.text())

    def _colours(self) -> tuple[QColor | None, QColor, QColor | None]:
        t = tokens()
        hovered, pressed = self.underMouse() and self.isEnabled(), self.isDown()
        if not self.isEnabled():
            return (None if self.role == "quiet" else t.hover), t.text3, None
        if self.role == "primary":
            return (t.accent_press if pressed else t.accent_hover if hovered else t.accent), t.on_accent, None
        if self.role == "danger":
            return (t.danger_fill.darker(112) if hovered or pressed else t.danger_fill), t.on_danger, None
        if self.role == "quiet":
            return (t.hover if hovered or pressed or self.isChecked() else None), t.text, None
        edge = t.field_edge if isinstance(self.window(), QDialog) else t.border  # a dialog is as light as the button
        return (t.hover if hovered or pressed or self.isChecked() else t.raised), t.text, edge


class IconButton(Button):
    """A square button with an icon alone; its name is told to assistive technology and as a tool tip."""

    def __init__(
        self,
        icon: Icon,
        name: str,
        *,
        role: ButtonRole = "quiet",
        compact: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("", role, icon=icon, compact=compact, parent=parent)
        self._padding = 6
        self.rename(name)

    def rename(self, name: str) -> None:
        """Say something else."""
        self.setAccessibleName(name)
        self.setToolTip(name)


def _advance(button: QPushButton) -> int:
    return round(QFontMetricsF(font("body_strong")).horizontalAdvance(button.text()) + 0.5)
