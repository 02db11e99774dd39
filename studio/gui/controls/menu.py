"""A menu that floats: Qt's own behaviour, painted by us."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QAction, QFontMetricsF, QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import QMenu, QProxyStyle, QStyle, QStyleOption, QWidget

from studio.gui.controls.dialogs import SHADOW, paint_floating
from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import CONTROL_HEIGHT, RADIUS_CONTROL


class _Measures(QProxyStyle):
    """Row height and margins of a menu."""

    def pixelMetric(
        self, metric: QStyle.PixelMetric, option: QStyleOption | None = None, widget: QWidget | None = None
    ) -> int:
        if metric in (QStyle.PixelMetric.PM_MenuHMargin, QStyle.PixelMetric.PM_MenuVMargin):
            return SHADOW + 5
        return super().pixelMetric(metric, option, widget)

    def sizeFromContents(
        self,
        kind: QStyle.ContentsType,
        option: QStyleOption,
        size: QSize,
        widget: QWidget | None = None,
    ) -> QSize:
        if kind == QStyle.ContentsType.CT_MenuItem:
            is_line = getattr(option, "text", "x") == ""
            height = round(CONTROL_HEIGHT * max(1.0, theme().scale))
            return QSize(size.width() + 40 + icon_size(), 9 if is_line else height)
        return super().sizeFromContents(kind, option, size, widget)  # type: ignore[arg-type]


class Menu(QMenu):
    """A menu of commands with icons and keys."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._glyphs: dict[QAction, Icon] = {}
        self._dangers: set[QAction] = set()
        self._measures = _Measures("Fusion")
        self._measures.setParent(self)
        self.setStyle(self._measures)
        self.setFont(font("body"))
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        self.setWindowFlag(Qt.WindowType.NoDropShadowWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        self.setToolTipsVisible(True)

    def add(
        self,
        text: str,
        slot: Callable[[], object],
        *,
        icon: Icon | None = None,
        key: str = "",
        danger: bool = False,
        enabled: bool = True,
        hint: str = "",
    ) -> QAction:
        """Add a command; `danger` for one that deletes, `hint` as its tool tip."""
        action = self.addAction(text)
        action.triggered.connect(lambda: slot())
        action.setEnabled(enabled)
        action.setToolTip(hint)
        if key:
            action.setShortcut(QKeySequence(key))
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        if icon is not None:
            self._glyphs[action] = icon
        if danger:
            self._dangers.add(action)
        return action

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t, size = antialiased(self), tokens(), icon_size()
        paint_floating(painter, QRectF(self.rect()).adjusted(SHADOW, SHADOW, -SHADOW, -SHADOW))
        for action in self.actions():
            rect = QRectF(self.actionGeometry(action))
            if action.isSeparator():
                painter.fillRect(QRectF(rect.left() + 8, rect.center().y(), rect.width() - 16, 1), t.border)
                continue
            if action is self.activeAction() and action.isEnabled():
                fill_box(painter, rect, RADIUS_CONTROL - 2, t.hover)
            ink = t.danger if action in self._dangers else t.text if action.isEnabled() else t.text3
            if action in self._glyphs:
                box = QRectF(rect.left() + 10, rect.top(), size, rect.height())
                paint_icon(painter, self._glyphs[action], box, ink, size)
            painter.setFont(font("body"))
            painter.setPen(ink)
            left = 20 + size if self._glyphs else 12
            painter.drawText(rect.adjusted(left, 0, -12, 0), Qt.AlignmentFlag.AlignVCenter, action.text())
            self._paint_key(painter, rect, action)

    def _paint_key(self, painter: QPainter, rect: QRectF, action: QAction) -> None:
        key = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText).replace("+", " ")
        if key:
            painter.setPen(tokens().text3)
            painter.setFont(font("small"))
            width = QFontMetricsF(font("small")).horizontalAdvance(key) + 14
            box = QRectF(rect.right() - width, rect.top(), width, rect.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, key)
