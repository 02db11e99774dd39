"""The types of GGUF file as a table in which several can be ticked."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QEvent, QModelIndex, QPersistentModelIndex, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import QHeaderView, QStyleOptionViewItem, QWidget

from studio.export.quant_types import NEED_MATRIX, TYPES, USUAL
from studio.gui import figures
from studio.gui.controls import RowDelegate, Table
from studio.gui.controls.painting import edge_box, fill_box
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import icon_size, theme, tokens

_COMMON = [name for name, kind in TYPES.items() if kind.is_common]
Index = QModelIndex | QPersistentModelIndex
_HEADS = ("", "Type", "Bits", "Size", "What you give up", "Must agree")
_RIGHT = (2, 3, 5)
_LEAST_TOLD = (2, 5)  # left out where large text has no room for them
_GIVEN_UP = 4  # takes the room that is left
_WIDTHS = {0: 46, 1: 90, 2: 52, 3: 80, 5: 88}  # the first holds a box, which does not grow with the text
NOT_MADE = f"{', '.join(NEED_MATRIX)} need an importance matrix, which is not measured here. Q2_K and IQ3_S do without."
NUM_TYPES = len(TYPES)


class TypesModel(QAbstractTableModel):
    """All types with their sizes.

    Signals:
        ticked(): other types are ticked than before.
    """

    ticked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.names = _COMMON
        self.chosen: set[str] = {USUAL}
        self._sizes: dict[str, int] = {}
        self._is_locked = False

    def set_sizes(self, sizes: dict[str, int]) -> None:
        """What each would take."""
        self._sizes = sizes
        self.dataChanged.emit(self.index(0, 3), self.index(len(self.names) - 1, 3))

    def show_all(self, is_on: bool) -> None:
        """All types, or the common ones and those that are ticked."""
        self.beginResetModel()
        self.names = [name for name in TYPES if is_on or name in _COMMON or name in self.chosen]
        self.endResetModel()

    def size(self, name: str) -> int:
        """Bytes of a type, 0 when not known yet."""
        return self._sizes.get(name, 0)

    def lock(self, is_locked: bool) -> None:
        """Ticks stay as they are while they are being made."""
        self._is_locked = is_locked

    def in_order(self) -> list[str]:
        """The ticked ones, in the order of the table."""
        return [name for name in TYPES if name in self.chosen]

    def toggle(self, row: int) -> None:
        """Tick a type, or no more."""
        if self._is_locked or not 0 <= row < len(self.names):
            return
        self.chosen ^= {self.names[row]}
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(_HEADS) - 1))
        self.ticked.emit()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.names)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(_HEADS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return _HEADS[section] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        name = self.names[index.row()]
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(name, column)
        if role == Qt.ItemDataRole.CheckStateRole and column == 0:
            return Qt.CheckState.Checked if name in self.chosen else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.FontRole:
            return "mono" if column == 1 else "body_strong" if column == 3 else None
        if role == Qt.ItemDataRole.ForegroundRole:
            return None if column in (1, 3) else "text2"
        if role == Qt.ItemDataRole.AccessibleTextRole and column == 0:
            return f"{name}, {'ticked' if name in self.chosen else 'not ticked'}"
        if role == Qt.ItemDataRole.ToolTipRole:
            kind = TYPES[name]
            bounds = f"{figures.share(kind.least_agreement)} agreement and drift up to {kind.most_kl:g}"
            return f"{kind.summary} Passes with {bounds}."
        return None

    def _text(self, name: str, column: int) -> str:
        kind = TYPES[name]
        size = figures.gigabytes(self._sizes[name]) if name in self._sizes else "…"
        least = figures.share(kind.least_agreement)
        return ("", kind.name, f"{kind.bits:.1f}", size, kind.summary.rstrip("."), least)[column]


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _RIGHT else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


class _Delegate(RowDelegate):
    """Ticked rows stand on the fill of a selection; the row at hand has the ring of the focus."""

    def paint_back(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        view = option.widget
        assert isinstance(view, TypesTable)
        is_ticked = index.sibling(index.row(), 0).data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
        is_hovered = view.hovered_row == index.row()
        is_current = view.shows_current and view.currentIndex().row() == index.row()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(option.rect)
        row = QRectF(5, option.rect.top() + 0.5, view.viewport().width() - 10, option.rect.height() - 1)
        if is_ticked or is_hovered:
            fill_box(painter, row, 7, tokens().sel if is_ticked else tokens().hover)
        if is_current:
            edge_box(painter, row, 7, tokens().accent, 2)
        painter.restore()

    def paint_text(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        if index.column() != 0:
            super().paint_text(painter, option, index)
            return
        t = tokens()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        size = icon_size()
        box = QRectF(option.rect.left() + 27 - size / 2, option.rect.center().y() - size / 2 + 0.5, size, size)
        if index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked:
            fill_box(painter, box, 4, t.accent)
            paint_icon(painter, Icon.CHECK, box, t.on_accent, icon_size(12))
        else:
            fill_box(painter, box, 4, t.inset)
            edge_box(painter, box, 4, t.strong, 1.4)
        painter.restore()


class TypesTable(Table):
    """The table: a click or Space ticks."""

    def __init__(self, model: TypesModel, parent: QWidget | None = None) -> None:
        super().__init__(name="Types of GGUF file", parent=parent)
        self.types = model
        self.shows_current = False
        self.setModel(model)
        self.setItemDelegate(_Delegate(self))
        self.setSelectionMode(Table.SelectionMode.NoSelection)
        head = self.horizontalHeader()
        head.setMinimumSectionSize(20)
        for column in _WIDTHS:
            head.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        head.setSectionResizeMode(_GIVEN_UP, QHeaderView.ResizeMode.Stretch)
        self._fit_columns()
        theme().changed.connect(self._fit_columns)
        model.modelReset.connect(self._to_usual)
        self._to_usual()

    def _to_usual(self) -> None:
        self.setAutoScroll(False)  # the list begins at its top
        self.setCurrentIndex(self.types.index(self.types.names.index(USUAL), 1))
        self.setAutoScroll(True)

    def _fit_columns(self) -> None:
        scale = max(1.0, theme().scale)
        for column, width in _WIDTHS.items():
            self.setColumnWidth(column, round(width * scale) if column else width)
        has_room = self.width() >= (sum(_WIDTHS.values()) + 80) * scale
        for column in _LEAST_TOLD:
            self.setColumnHidden(column, not has_room)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_columns()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space:
            self.types.toggle(self.currentIndex().row())
        else:
            super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and event.button() == Qt.MouseButton.LeftButton:
            self.types.toggle(index.row())

    def focusInEvent(self, event: Any) -> None:
        self.shows_current = event.reason() != Qt.FocusReason.MouseFocusReason
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: Any) -> None:
        self.shows_current = False
        super().focusOutEvent(event)
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        self.viewport().update()
