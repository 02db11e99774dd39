"""Scroll bars as thin as they can be hit: no arrows, no track; darker under the pointer."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QAbstractScrollArea, QScrollBar, QSizePolicy, QStyle, QStyleOptionSlider, QWidget

from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.theme import tokens
from studio.gui.tokens import mixed

_EXTENT, _THICKNESS = 12, 6


class ThinScrollBar(QScrollBar):
    """A scroll bar."""

    def __init__(self, orientation: Qt.Orientation, parent: QWidget | None = None) -> None:
        super().__init__(orientation, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent, False)  # what lies below shows through
        fixed, free = QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding
        is_vertical = orientation == Qt.Orientation.Vertical
        self.setSizePolicy(fixed if is_vertical else free, free if is_vertical else fixed)

    def sizeHint(self) -> QSize:
        return QSize(_EXTENT, 40) if self.orientation() == Qt.Orientation.Vertical else QSize(40, _EXTENT)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.maximum() <= self.minimum():
            return
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        style = self.style()
        part = QStyle.SubControl.SC_ScrollBarSlider
        grip = QRectF(style.subControlRect(QStyle.ComplexControl.CC_ScrollBar, option, part, self))
        inset = (_EXTENT - _THICKNESS) / 2
        is_vertical = self.orientation() == Qt.Orientation.Vertical
        grip = grip.adjusted(inset, 1, -inset, -1) if is_vertical else grip.adjusted(1, inset, -1, -inset)
        t = tokens()
        share = 0.55 if self.underMouse() or self.isSliderDown() else 0.28
        fill_box(antialiased(self), grip, _THICKNESS / 2, mixed(t.surface, t.strong, share))


def thin_scroll_bars(area: QAbstractScrollArea) -> None:
    """Give an area our scroll bars. To be called before their policies are set."""
    area.setVerticalScrollBar(ThinScrollBar(Qt.Orientation.Vertical, area))
    area.setHorizontalScrollBar(ThinScrollBar(Qt.Orientation.Horizontal, area))
