"""The table's model: rows come page by page from the store, off the window's thread; none is read in `data`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal

from studio.data.store.digest import Mark
from studio.data.store.reading import Ordinals, RowLine, RowStore
from studio.data.store.view import Rows
from studio.gui import figures
from studio.gui.data_page.work import read_page
from studio.gui.tasks import Task, Tasks

Index = QModelIndex | QPersistentModelIndex
PAGE_ROWS = 48
_KEPT_PAGES = 80
_MOST_WANTED = 6
CELL_ROLE = Qt.ItemDataRole.UserRole + 1


class Column(IntEnum):
    """Columns of the table, from left to right."""

    NUMBER = 0
    FIRST = 1
    TURNS = 2
    TOKENS = 3
    LENGTH = 4


_HEADS = {
    Column.NUMBER: "#",
    Column.FIRST: "First message",
    Column.TURNS: "Turns",
    Column.TOKENS: "Tokens",
    Column.LENGTH: "",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What the delegate paints of a row: its line (None while it is fetched), its tokens (-1 not known), the limit."""

    line: RowLine | None
    tokens: int
    limit: int
    is_set_aside: bool
    is_counting: bool = False


class RowsModel(QAbstractTableModel):
    """Rows in the order that was chosen.

    Signals:
        arrived(int): the line of this row is there now.
    """

    arrived = Signal(int)

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._store: RowStore | None = None
        self._rows: Rows | None = None
        self._ordinals: Ordinals = np.zeros(0, np.int32)
        self._pages: OrderedDict[int, list[RowLine]] = OrderedDict()
        self._wanted: list[int] = []
        self._fetching: dict[int, Task] = {}
        self._is_counting = True
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._fetch)

    # What is shown

    def show_lines(self, lines: Sequence[RowLine]) -> None:
        """Show the first rows of a file, before there is a store."""
        self._reset(None, np.arange(len(lines), dtype=np.int32))
        for start in range(0, len(lines), PAGE_ROWS):
            self._pages[start // PAGE_ROWS] = list(lines[start : start + PAGE_ROWS])
        self.endResetModel()

    def show_store(self, store: RowStore, rows: Rows, ordinals: Ordinals) -> None:
        """Show rows of a store. Lines already here stay when only more rows or lengths came."""
        known = len(self._ordinals)
        if store is self._store and len(ordinals) >= known and np.array_equal(ordinals[:known], self._ordinals):
            self._grow(rows, ordinals)
            return
        self._reset(store, ordinals)
        self._rows = rows
        self.endResetModel()

    def set_counting(self, is_counting: bool) -> None:
        """Whether lengths that are not known are on their way."""
        if is_counting == self._is_counting:
            return
        self._is_counting = is_counting
        if len(self._ordinals):
            last = self.index(len(self._ordinals) - 1, Column.TOKENS)
            self.dataChanged.emit(self.index(0, Column.TOKENS), last)

    def ordinal(self, row: int) -> int | None:
        """Which row of the file stands here."""
        return int(self._ordinals[row]) if 0 <= row < len(self._ordinals) else None

    def place(self, ordinal: int) -> int | None:
        """Where a row of the file stands; None when it is not shown."""
        found = np.flatnonzero(self._ordinals == ordinal)
        return int(found[0]) if len(found) else None

    def line(self, row: int) -> RowLine | None:
        """A row's line, None while it is fetched."""
        page = self._pages.get(row // PAGE_ROWS)
        if page is None:
            self._want(row // PAGE_ROWS)
            return None
        at = row % PAGE_ROWS
        return page[at] if at < len(page) else None

    # Qt

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._ordinals)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _HEADS[Column(section)]
        if role == Qt.ItemDataRole.TextAlignmentRole and Column(section) is not Column.FIRST:
            return Qt.AlignmentFlag.AlignRight
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._ordinals):
            return None
        if role == CELL_ROLE:
            return self.cell(index.row())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(index.row(), Column(index.column()))
        if role == Qt.ItemDataRole.ToolTipRole and Column(index.column()) is Column.FIRST:
            line = self.line(index.row())
            return line.first if line and line.marks & Mark.SET_ASIDE else None
        return None

    def cell(self, row: int) -> Cell:
        """What is painted of a row."""
        ordinal = int(self._ordinals[row])
        line, tokens, limit, is_counting = self.line(row), -1, 0, self._is_counting
        is_set_aside = line is not None and bool(line.marks & Mark.SET_ASIDE)
        if self._rows is not None:
            limit = self._rows.split.max_length
            if ordinal < len(self._rows.lengths):
                record = self._rows.lengths[ordinal]
                tokens, is_counting = int(record["length"]), False
                is_set_aside = is_set_aside or tokens < 0 or bool(limit and record["first"] >= limit)
        return Cell(line, tokens, limit, is_set_aside, is_counting and not is_set_aside)

    # Inside

    def _text(self, row: int, column: Column) -> str | None:
        cell = self.cell(row)
        if cell.line is None:
            return None
        if column is Column.NUMBER:
            return figures.count(cell.line.number)
        if column is Column.FIRST:
            return cell.line.first
        if column is Column.TURNS:
            return figures.count(cell.line.turns) if cell.line.turns else ""
        if column is Column.TOKENS:
            return figures.count(cell.tokens) if cell.tokens >= 0 else ""
        over = cell.tokens - cell.limit if cell.limit else 0
        return f"{figures.count(over)} tokens are cut off" if over > 0 else ""

    def _reset(self, store: RowStore | None, ordinals: Ordinals) -> None:
        """Begin to show others; the caller ends it."""
        self.beginResetModel()
        for task in self._fetching.values():
            task.cancel()
        self._fetching.clear()
        self._pages.clear()
        self._wanted.clear()
        self._store, self._rows, self._ordinals = store, None, ordinals

    def _grow(self, rows: Rows, ordinals: Ordinals) -> None:
        self._rows = rows
        known = len(self._ordinals)
        if len(ordinals) > known:
            self._pages.pop(known // PAGE_ROWS, None)  # its last page was not full
            self.beginInsertRows(QModelIndex(), known, len(ordinals) - 1)
            self._ordinals = ordinals
            self.endInsertRows()
        self.dataChanged.emit(self.index(0, 0), self.index(max(0, len(ordinals) - 1), len(Column) - 1))

    def _want(self, page: int) -> None:
        if self._store is None or page in self._fetching:
            return
        if page in self._wanted:
            self._wanted.remove(page)
        self._wanted.append(page)
        # What was passed while scrolling is not fetched any more.
        del self._wanted[:-_MOST_WANTED]
        if not self._timer.isActive():
            self._timer.start(0)

    def _fetch(self) -> None:
        if self._store is None:
            return
        for page in reversed(self._wanted):
            ordinals = self._ordinals[page * PAGE_ROWS : (page + 1) * PAGE_ROWS].tolist()
            self._fetching[page] = self._tasks.run(
                read_page,
                self._store,
                ordinals,
                on_done=partial(self._on_page, page),
                on_error=partial(self._on_no_page, page),
            )
        self._wanted.clear()

    def _on_no_page(self, page: int, error: Exception) -> None:
        self._on_page(page, [])  # the cache was cleared under our feet; the page's own notice says what to do

    def _on_page(self, page: int, lines: list[RowLine]) -> None:
        self._fetching.pop(page, None)
        self._pages[page] = lines
        while len(self._pages) > _KEPT_PAGES:
            self._pages.popitem(last=False)
        first = page * PAGE_ROWS
        last = min(first + PAGE_ROWS, len(self._ordinals)) - 1
        if last < first:
            return
        self.dataChanged.emit(self.index(first, 0), self.index(last, len(Column) - 1))
        for row in range(first, last + 1):
            self.arrived.emit(row)
