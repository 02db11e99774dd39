"""The command palette: every command of the window and of the page, by name, with its key."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from studio.gui.controls import Hairline
from studio.gui.controls.dialogs import SHADOW, paint_floating
from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.controls.scroll import thin_scroll_bars
from studio.gui.controls.table import Index
from studio.gui.icons import Icon, paint_icon
from studio.gui.page import Command
from studio.gui.shortcuts import key_text
from studio.gui.theme import font, tokens
from studio.gui.tokens import RADIUS_CONTROL, faded

_WIDTH, _ROWS, _ROW = 560, 9, 34


def matches(query: str, text: str) -> int | None:
    """How well `query` fits: lower is better, None is not at all. Letters must come in order; starts of words win."""
    wanted, found = query.casefold().strip(), text.casefold()
    if not wanted:
        return 0
    at = found.find(wanted)
    if at >= 0:
        return 0 if at == 0 else 1 if found[at - 1] == " " else 2
    rest = iter(found)
    return 3 if all(letter in rest for letter in wanted if letter != " ") else None


class _Row(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect, t = QRectF(option.rect).adjusted(6, 1, -6, -1), tokens()
        if option.state & QStyle.StateFlag.State_Selected:
            fill_box(painter, rect, RADIUS_CONTROL, t.sel)
        command: Command = index.data(Qt.ItemDataRole.UserRole)
        painter.setFont(font("body_strong"))
        painter.setPen(t.text)
        painter.drawText(rect.adjusted(12, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, command.title)
        left = 24 + QFontMetricsF(font("body_strong")).horizontalAdvance(command.title)
        painter.setFont(font("small"))
        painter.setPen(t.text3)
        painter.drawText(rect.adjusted(left, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, command.group)
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(rect.adjusted(0, 0, -12, 0), flags, key_text(command.key))
        painter.restore()


class _Query(QLineEdit):
    def __init__(self) -> None:
        super().__init__()
        self.setFrame(False)
        self.setPlaceholderText("Type a command")
        self.setAccessibleName("Command")
        self.setFont(font("item"))
        self.setFixedHeight(46)
        self.setTextMargins(44, 0, 60, 0)
        palette = self.palette()
        palette.setColor(palette.ColorRole.Base, faded(tokens().raised, 0))
        self.setPalette(palette)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        paint_icon(painter, Icon.SEARCH, QRectF(16, 0, 18, self.height()), tokens().text3, 16)
        painter.setFont(font("small"))
        painter.setPen(tokens().text3)
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(QRectF(self.rect()).adjusted(0, 0, -18, 0), flags, "Esc")
        painter.end()
        super().paintEvent(event)


class Palette(QWidget):
    """The palette over a window. Typing filters, Enter acts, Esc closes."""

    def __init__(self, window: QWidget, find_commands: Callable[[], list[Command]]) -> None:
        super().__init__(window)
        self._window = window
        self._find_commands = find_commands
        self._commands: list[Command] = []
        self._before: QWidget | None = None
        self.setAccessibleName("Commands")
        self.query = _Query()
        self.list = QListWidget()
        self.list.setAccessibleName("Found commands")
        self.list.setItemDelegate(_Row(self.list))
        thin_scroll_bars(self.list)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.viewport().setAutoFillBackground(False)
        card = self._card = QWidget(self)
        layout = QVBoxLayout(card)
        layout.setContentsMargins(SHADOW, SHADOW, SHADOW, SHADOW + 6)
        layout.setSpacing(0)
        layout.addWidget(self.query)
        layout.addWidget(Hairline())
        layout.addSpacing(5)
        layout.addWidget(self.list)
        self.query.textChanged.connect(self._on_typed)
        self.query.installEventFilter(self)
        self.list.itemClicked.connect(lambda: self._act())
        self.hide()

    def open(self) -> None:
        """Show every command."""
        self._before = self.window().focusWidget()
        self._commands = self._find_commands()
        palette = self.list.palette()
        palette.setColor(palette.ColorRole.Base, faded(tokens().raised, 0))
        self.list.setPalette(palette)
        self.query.clear()
        self._on_typed("")
        self.place()
        self.show()
        self.raise_()
        self.query.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def close_palette(self) -> None:
        """Go away, and give the focus back."""
        self.hide()
        if self._before is not None:
            self._before.setFocus(Qt.FocusReason.OtherFocusReason)

    def place(self) -> None:
        """Fill the window; the card is in its upper middle."""
        window = self._window
        self.setGeometry(window.rect())
        width = min(_WIDTH, window.width() - 40) + 2 * SHADOW
        self._card.setGeometry((window.width() - width) // 2, 90, width, 46 + _ROWS * _ROW + 2 * SHADOW + 14)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        painter.fillRect(self.rect(), faded(tokens().bg, 0.5))
        paint_floating(painter, QRectF(self._card.geometry()).adjusted(SHADOW, SHADOW, -SHADOW, -SHADOW))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if not self._card.geometry().contains(event.position().toPoint()):
            self.close_palette()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return super().eventFilter(watched, event)
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_Tab: 1}.get(Qt.Key(event.key()))
        if step is not None and self.list.count():
            self.list.setCurrentRow((self.list.currentRow() + step) % self.list.count())
        elif event.key() == Qt.Key.Key_Escape:
            self.close_palette()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._act()
        else:
            return super().eventFilter(watched, event)
        return True

    def _on_typed(self, text: str) -> None:
        scored = [(matches(text, f"{command.title} {command.group}"), command) for command in self._commands]
        fitting = sorted((pair for pair in scored if pair[0] is not None), key=lambda pair: pair[0] or 0)
        self.list.clear()
        for _, command in fitting:
            item = QListWidgetItem(command.title)
            item.setData(Qt.ItemDataRole.UserRole, command)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _act(self) -> None:
        item = self.list.currentItem()
        self.close_palette()
        if item is not None:
            item.data(Qt.ItemDataRole.UserRole).slot()
