"""The table of rows: painted cells (number, first message, turns, tokens with a bar), keys, numbers while scrolling."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import QHeaderView, QStyle, QStyleOptionViewItem, QToolTip, QWidget

from studio.gui import figures
from studio.gui.controls import RowDelegate, Table
from studio.gui.controls.bars import track_colour
from studio.gui.controls.painting import fill_box
from studio.gui.data_page.rows_model import CELL_ROLE, Cell, Column, RowsModel
from studio.gui.icons import Icon, icon_pixmap
from studio.gui.theme import font, icon_size, tokens
from studio.gui.tokens import mixed

Index = QModelIndex | QPersistentModelIndex
_BAR_WIDTH, _BAR_HEIGHT = 48, 5
_WIDTHS = {Column.NUMBER: 84, Column.TURNS: 66, Column.TOKENS: 82, Column.LENGTH: 104}
_SKELETONS = {Column.NUMBER: 0.5, Column.FIRST: 0.62, Column.TURNS: 0.3, Column.TOKENS: 0.5}


class RowsDelegate(RowDelegate):
    """Paints a row's cells from one `Cell`."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        self.paint_back(painter, option, index)
        cell: Cell | None = index.data(CELL_ROLE)
        if cell is None:
            return
        column = Column(index.column())
        if cell.line is None or (cell.is_counting and column is Column.TOKENS):
            self._paint_skeleton(painter, option, column)
        elif column is Column.LENGTH:
            self._paint_length(painter, option, cell)
        else:
            self._paint_words(painter, option, cell, column, str(index.data() or ""))

    def _paint_words(
        self, painter: QPainter, option: QStyleOptionViewItem, cell: Cell, column: Column, text: str
    ) -> None:
        t = tokens()
        is_over = column is Column.TOKENS and 0 < cell.limit < cell.tokens
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        ink = {Column.NUMBER: t.text3, Column.FIRST: t.text}.get(column, t.text2)
        if cell.is_set_aside:
            ink = t.warn if column is Column.FIRST else t.text3
        used = font("body_strong" if (is_selected and column is Column.FIRST) or is_over else "body")
        painter.setFont(used)
        painter.setPen(t.danger if is_over else ink)
        box = option.rect.adjusted(10, 0, -10, 0)
        if cell.is_set_aside and column is Column.FIRST:
            size = icon_size(15)
            painter.drawPixmap(box.left(), box.center().y() - size // 2, icon_pixmap(Icon.WARNING, size, t.warn))
            box.setLeft(box.left() + 7 + size)
        right = column is not Column.FIRST
        flags = (Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft) | Qt.AlignmentFlag.AlignVCenter
        shown = QFontMetrics(used).elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, int(flags), shown)

    def _paint_length(self, painter: QPainter, option: QStyleOptionViewItem, cell: Cell) -> None:
        if cell.tokens < 0 or not cell.limit:
            return
        t = tokens()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, middle = option.rect.left() + 6.0, option.rect.center().y() + 1.0
        bar = QRectF(left, middle - _BAR_HEIGHT / 2, _BAR_WIDTH, _BAR_HEIGHT)
        fill_box(painter, bar, _BAR_HEIGHT / 2, track_colour())
        # The whole bar is the limit; what is longer than that shows how much of the row is lost.
        kept = min(cell.tokens, cell.limit)
        scale = _BAR_WIDTH / max(cell.limit, cell.tokens)
        fill_box(painter, QRectF(left, bar.top(), max(_BAR_HEIGHT, kept * scale), _BAR_HEIGHT), 2.5, t.text3)
        if cell.tokens > cell.limit:
            lost = QRectF(left + kept * scale, bar.top(), max(3.0, (cell.tokens - kept) * scale), _BAR_HEIGHT)
            fill_box(painter, lost, 1.5, t.danger)
            painter.drawPixmap(QPoint(round(left) + _BAR_WIDTH + 16, round(middle) - 8), _scissors())
        painter.restore()

    def _paint_skeleton(self, painter: QPainter, option: QStyleOptionViewItem, column: Column) -> None:
        share = _SKELETONS.get(column)
        if share is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = option.rect.adjusted(10, 0, -10, 0)
        width = room.width() * share
        left = room.left() if column is Column.FIRST else room.right() - width
        fill = mixed(tokens().surface, tokens().text, 0.07)
        fill_box(painter, QRectF(left, room.center().y() - 4, width, 9), 4.5, fill)
        painter.restore()


class RowsTable(Table):
    """The table.

    Signals:
        row_chosen(int): another row is current, by its place in the table.
        sort_wanted(int): a column's head was clicked.
    """

    row_chosen = Signal(int)
    sort_wanted = Signal(int)

    def __init__(self, model: RowsModel, parent: QWidget | None = None) -> None:
        super().__init__(model, name="Rows", parent=parent)
        self.setItemDelegate(RowsDelegate(self))
        header = self.horizontalHeader()
        header.setSortIndicatorShown(True)
        header.setSortIndicator(Column.NUMBER, Qt.SortOrder.AscendingOrder)
        header.setSectionResizeMode(Column.FIRST, QHeaderView.ResizeMode.Stretch)
        for column, width in _WIDTHS.items():
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(column, width)
        header.sectionClicked.connect(self.sort_wanted)
        self.selectionModel().currentRowChanged.connect(self._on_current)
        self.verticalScrollBar().sliderMoved.connect(self._on_slider)

    def choose(self, row: int) -> None:
        """Make a row the current one, in sight."""
        index = self.model().index(row, Column.FIRST)
        self.setCurrentIndex(index)
        self.scrollTo(index, Table.ScrollHint.EnsureVisible)

    def current_row(self) -> int:
        """The current row's place; -1 without one."""
        return self.currentIndex().row()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """What was in sight stays in sight."""
        before = QRect(QPoint(), event.oldSize())  # by now the view is as large as it will be
        was_in_sight = before.intersects(self.visualRect(self.currentIndex()))
        super().resizeEvent(event)
        if was_in_sight:
            self.scrollTo(self.currentIndex(), Table.ScrollHint.EnsureVisible)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        places = {Qt.Key.Key_Home: 0, Qt.Key.Key_End: self.model().rowCount() - 1}
        if (row := places.get(Qt.Key(event.key()))) is not None and row >= 0:
            self.choose(row)
            return
        super().keyPressEvent(event)

    def _on_current(self, current: QModelIndex) -> None:
        if current.isValid():
            self.row_chosen.emit(current.row())

    def _on_slider(self) -> None:
        """The number of the row at the top, beside the scroll bar while it is dragged."""
        bar = self.verticalScrollBar()
        cell: Cell | None = self.model().index(max(0, self.rowAt(0)), 0).data(CELL_ROLE)
        number = cell.line.number if cell and cell.line else self.rowAt(0) + 1
        place = bar.mapToGlobal(QPoint(-110, round(bar.height() * bar.value() / max(1, bar.maximum()))))
        QToolTip.showText(place, f"Row {figures.count(number)}", bar)


def _scissors() -> QPixmap:
    return icon_pixmap(Icon.SCISSORS, icon_size(15), tokens().danger)
