"""What a plot shows, as a table: for those who cannot see it, and for whoever wants the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHeaderView, QWidget

from studio.gui.controls import Dialog, Table

_WIDTH, _HEIGHT = 760, 420


class _Rows(QAbstractTableModel):
    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[str]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._header, self._rows = header, rows

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._header)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and index.row() < len(self._rows):
            return self._rows[index.row()][index.column()]
        return Qt.AlignmentFlag.AlignRight if role == Qt.ItemDataRole.TextAlignmentRole else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._header[section]
        return Qt.AlignmentFlag.AlignRight if role == Qt.ItemDataRole.TextAlignmentRole else None


class PlotTable(Dialog):
    """A dialog with the figures of a plot."""

    def __init__(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], parent: QWidget) -> None:
        about = "What the plot shows, in figures. They can be copied, and pasted into a spreadsheet."
        super().__init__(title, about, width=_WIDTH, parent=parent)
        self._lines = ["\t".join(header), *("\t".join(row) for row in rows)]
        self.table = Table(_Rows(header, rows, self), name=title)
        self.table.setMinimumHeight(_HEIGHT)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.body.addWidget(self.table)
        self.add_button("Copy the table", "secondary", self.copy)
        self.add_button("Close", "primary", self.accept)

    def copy(self) -> None:
        """Put it on the clipboard, as a spreadsheet takes it."""
        QGuiApplication.clipboard().setText("\n".join(self._lines))
