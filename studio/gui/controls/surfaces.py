"""Cards, hairlines, badges, and columns that scroll."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.controls.scroll import thin_scroll_bars
from studio.gui.controls.text import Text
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import CARD_PADDING, CONTROL_GAP, RADIUS_BADGE, RADIUS_CARD

ANY_SIZE = 16_777_215  # Qt's QWIDGETSIZE_MAX, which PySide does not name
BadgeTone = Literal["neutral", "good", "warn", "danger", "info"]


class Card(QFrame):
    """A surface with a hairline around it.

    Attributes:
        header: layout with the title at its left; add extras to its right.
        body: layout for the content.
    """

    def __init__(
        self, title: str = "", *, padding: int = CARD_PADDING, spacing: int = 10, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(padding, padding - 2, padding, padding - 2)
        outer.setSpacing(spacing)
        self.header = QHBoxLayout()
        self.header.setSpacing(CONTROL_GAP)
        self.title = Text(title, "heading", parent=self)  # a card without a title must leave no widget without a place
        self.title.resize(0, 0)
        if title:
            self.header.addWidget(self.title)
            self.header.addStretch(1)
            outer.addLayout(self.header)
            self.setAccessibleName(title)
        self.body = QVBoxLayout()
        self.body.setSpacing(spacing)
        outer.addLayout(self.body, 1)
        self.edge: QColor | None = None
        self.fill: QColor | None = None

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        rect = QRectF(self.rect())
        fill_box(painter, rect, RADIUS_CARD, self.fill or tokens().surface)
        edge_box(painter, rect, RADIUS_CARD, self.edge or tokens().border)


class Hairline(QWidget):
    """A line one device pixel thin, lying or standing."""

    def __init__(self, orientation: Qt.Orientation = Qt.Orientation.Horizontal, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lies = orientation == Qt.Orientation.Horizontal
        fixed, free = QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding
        self.setSizePolicy(free if self._lies else fixed, fixed if self._lies else free)

    def sizeHint(self) -> QSize:
        return QSize(1, 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        thin = 1 / self.devicePixelRatioF()
        line = QRectF(0, 0, self.width(), thin) if self._lies else QRectF(0, 0, thin, self.height())
        painter.fillRect(line, tokens().border)


class Badge(QWidget):
    """One or two words on a soft fill."""

    def __init__(
        self,
        text: str = "",
        tone: BadgeTone = "neutral",
        *,
        icon: Icon | None = None,
        dot: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._dot = dot
        self._icon = icon
        self._text, self._tone = text, tone
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(text)
        theme().changed.connect(self.updateGeometry)

    def text(self) -> str:
        """What it says."""
        return self._text

    def say(self, text: str, tone: BadgeTone = "neutral", *, icon: Icon | None = None, dot: bool = False) -> None:
        """Change words and tone."""
        self._text, self._tone, self._icon, self._dot = text, tone, icon, dot
        self.setAccessibleName(text)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        words = QFontMetricsF(font("small_strong"))
        lead = 10 if self._dot else icon_size(13) + 4 if self._icon else 0
        return QSize(round(words.horizontalAdvance(self._text)) + lead + 15, round(words.height()) + 5)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        fill, ink = badge_colours(self._tone)
        rect = QRectF(self.rect())
        fill_box(painter, rect, RADIUS_BADGE, fill)
        left = 7.0
        if self._dot:
            fill_box(painter, QRectF(left, rect.center().y() - 3, 6, 6), 3, ink)
            left += 10
        elif self._icon:
            paint_icon(painter, self._icon, QRectF(left, 0, icon_size(13), rect.height()), ink, icon_size(13))
            left += icon_size(13) + 4
        painter.setFont(font("small_strong"))
        painter.setPen(ink)
        painter.drawText(rect.adjusted(left, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._text)


def badge_colours(tone: BadgeTone) -> tuple[QColor, QColor]:
    """Fill and ink of a badge."""
    t = tokens()
    return {
        "neutral": (t.hover, t.text2),
        "good": (t.accent_soft, t.accent_text),
        "warn": (t.warn_soft, t.warn),
        "danger": (t.danger_soft, t.danger),
        "info": (t.info_soft, t.info),
    }[tone]


class _Inside(QWidget):
    """As high as its words are at the width they have; Qt asks at the width they would like, where more lines break."""

    def minimumSizeHint(self) -> QSize:
        hint = super().minimumSizeHint()
        layout = self.layout()
        return QSize(hint.width(), 0) if layout is not None and layout.hasHeightForWidth() else hint


class ScrollColumn(QScrollArea):
    """A column that scrolls inside its place.

    Attributes:
        column: its layout.
    """

    _fits = False

    def __init__(self, *, spacing: int = 0, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> None:
        super().__init__()
        thin_scroll_bars(self)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAutoFillBackground(False)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._inside = inside = _Inside()
        inside.setAutoFillBackground(False)
        self.column = QVBoxLayout(inside)
        self.column.setSpacing(spacing)
        self.column.setContentsMargins(*margins)
        self.setWidget(inside)
        inside.setAutoFillBackground(False)

    def set_fits(self, fits: bool) -> None:
        """Whether what is inside makes do with the height there is, as if nothing could scroll."""
        self._fits = fits
        self._bound()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._bound()
        super().resizeEvent(event)

    def _bound(self) -> None:
        self._inside.setMaximumHeight(self.viewport().height() if self._fits else ANY_SIZE)
