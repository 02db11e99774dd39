"""The files exported so far, newest first."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import QHeaderView, QStyleOptionViewItem

from studio.export.exports import Exported
from studio.gui import figures
from studio.gui.controls import Card, RowDelegate, States, Table, Text
from studio.gui.theme import font, theme, tokens
from studio.sizes import human_share

Index = QModelIndex | QPersistentModelIndex
_HEADS = ("File", "Size", "Check", "When")
_WIDTHS = {1: 90, 2: 130, 3: 110}  # of columns, at the usual size of text


class _Model(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[Exported] = []

    def show_files(self, files: list[Exported]) -> None:
        self.beginResetModel()
        self.files = files
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.files)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(_HEADS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _HEADS[section]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole and section == 1:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        file, column = self.files[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            sized, when = figures.gigabytes(file.num_bytes), figures.when(file.changed)
            return (file.path.name, sized, verdict(file), when)[column]
        if role == Qt.ItemDataRole.TextAlignmentRole and column == 1:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ForegroundRole:
            if column == 2:
                return "danger" if file.has_failed else "accent_text" if file.report else "text3"
            return "text2" if column else None
        return file.path.name if role == Qt.ItemDataRole.ToolTipRole else None


class _Delegate(RowDelegate):
    """Names of files are shortened in the middle: what tells them apart stands at their end."""

    def paint_text(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        if index.column() != 0:
            super().paint_text(painter, option, index)
            return
        box = option.rect.adjusted(10, 0, -10, 0)
        painter.setFont(font("body"))
        painter.setPen(tokens().text)
        words = QFontMetrics(font("body")).elidedText(str(index.data()), Qt.TextElideMode.ElideMiddle, box.width())
        painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter), words)


def verdict(file: Exported) -> str:
    """'Passed, 98.7 %', 'Failed', 'not checked'."""
    if file.has_failed:
        return "Failed"
    if file.report is None:
        return "not checked"
    return f"Passed, {human_share(float(file.report.get('agreement', 0)))}"


class ExportsCard(Card):
    """The card.

    Signals:
        chosen(object): an Exported.
    """

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__("Exported so far", spacing=6)
        self._model = _Model()
        self.table = Table(self._model, name="Exported so far")
        self.table.setItemDelegate(_Delegate(self.table))
        head = self.table.horizontalHeader()
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in _WIDTHS:
            head.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        self._fit()
        theme().changed.connect(self._fit)
        self.states = States()
        nothing = Text("Nothing yet. What you export is listed here with its check.", "small", "text3")
        nothing.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.states.add("empty", nothing)
        self.states.add("full", self.table)
        self.body.addWidget(self.states, 1)
        self.table.selectionModel().currentRowChanged.connect(self._on_current)

    def show_files(self, files: list[Exported], selected: str = "") -> None:
        """Show these; `selected` is the name of the one to choose."""
        self._model.show_files(files)
        self.states.show_state("full" if files else "empty")
        at = next((row for row, file in enumerate(files) if file.path.name == selected), 0)
        if files:
            self.table.selectRow(at)
            self.chosen.emit(files[at])

    def _fit(self) -> None:
        for column, width in _WIDTHS.items():
            self.table.setColumnWidth(column, round(width * max(1.0, theme().scale)))

    def _on_current(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid():
            self.chosen.emit(self._model.files[current.row()])
