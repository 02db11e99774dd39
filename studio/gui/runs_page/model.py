"""The table of runs as Qt wants it. It answers from what is known, and reads nothing."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from studio.gui import figures
from studio.gui.runs_page.library import Entry

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("", "Run", "Method", "Settings that differ", "Held-out", "Peak", "Time", "State")
TICK, RUN, METHOD, SETTINGS, HELD_OUT, PEAK, TIME, STATE = range(len(COLUMNS))
SLOT_ROLE = Qt.ItemDataRole.UserRole + 1
TONE_ROLE = Qt.ItemDataRole.UserRole + 2
_RIGHT = (HELD_OUT, PEAK, TIME)
_UP = Qt.SortOrder.AscendingOrder
_STATES = {
    "new": ("Not begun", "neutral"),
    "running": ("Training", "good"),
    "done": ("Finished", "neutral"),
    "stopped": ("Stopped", "neutral"),
    "paused": ("Paused", "warn"),
    "failed": ("Failed", "danger"),
    "interrupted": ("Interrupted", "danger"),
}


class RunsModel(QAbstractTableModel):
    """One row a run.

    Signals:
        ticks_changed(): other runs are to be overlaid.
    """

    ticks_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []
        self._slots: dict[str, int] = {}
        self._names: list[str] = []
        self._order = (RUN, Qt.SortOrder.DescendingOrder)

    # What is shown

    def set_entries(self, entries: list[Entry]) -> None:
        """Show these runs, in the chosen order; ticks stay with their runs."""
        column, order = self._order
        entries = sorted(entries, key=lambda entry: sort_key(entry, column), reverse=order != _UP)
        names = [entry.run.name for entry in entries]
        if names == self._names:
            self.entries = entries
            if entries:
                self.dataChanged.emit(self.index(0, 0), self.index(len(entries) - 1, STATE))
            return
        self.beginResetModel()
        self.entries, self._names = entries, names
        self.endResetModel()

    def tell_changed(self, name: str) -> None:
        """A run's figures are known, or others."""
        if name in self._names:
            row = self._names.index(name)
            self.dataChanged.emit(self.index(row, 0), self.index(row, STATE))

    def row_of(self, name: str) -> int:
        """A run's row, -1 when it is not shown."""
        return self._names.index(name) if name in self._names else -1

    # Ticks

    def slot(self, name: str) -> int | None:
        """Which overlay colour a ticked run has."""
        return self._slots.get(name)

    def toggle(self, name: str) -> None:
        """Overlay a run, or take it away."""
        if name in self._slots:
            del self._slots[name]
        else:
            self._slots[name] = next(slot for slot in range(1000) if slot not in self._slots.values())
        self.tell_changed(name)
        self.ticks_changed.emit()

    def forget(self, names: set[str]) -> None:
        """Runs that are gone give their colours back."""
        self._slots = {name: slot for name, slot in self._slots.items() if name not in names}

    def ticked(self) -> list[str]:
        """Names of the overlaid runs, by their colour."""
        return sorted(self._slots, key=self._slots.__getitem__)

    # Qt

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if column in (TICK, SETTINGS):
            return
        self._order = (column, order)
        self.set_entries(self.entries)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.entries)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight if section in _RIGHT else Qt.AlignmentFlag.AlignLeft
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.entries):
            return None
        entry, column = self.entries[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(entry, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight if column in _RIGHT else Qt.AlignmentFlag.AlignLeft
        if role == Qt.ItemDataRole.FontRole:
            return "body_strong" if column in (METHOD, HELD_OUT) else "body"
        if role == Qt.ItemDataRole.ForegroundRole:
            return "text" if column in (METHOD, HELD_OUT) else "text2"
        if role == Qt.ItemDataRole.ToolTipRole:
            return entry.differs if column == SETTINGS else (entry.facts.problem or entry.row.state.message or None)
        if role == SLOT_ROLE:
            return self._slots.get(entry.run.name)
        if role == TONE_ROLE:
            return state_words(entry)[1]
        if role == Qt.ItemDataRole.CheckStateRole and column == TICK:
            return Qt.CheckState.Checked if entry.run.name in self._slots else Qt.CheckState.Unchecked
        return None

    def _text(self, entry: Entry, column: int) -> str:
        found = entry.digest
        if column == RUN:
            return str(entry.facts.number)
        if column == METHOD:
            return "Damaged" if entry.is_damaged else entry.facts.method
        if column == SETTINGS:
            return entry.facts.problem if entry.is_damaged else entry.differs
        if column == STATE:
            return state_words(entry)[0]
        if column == HELD_OUT:
            best = entry.row.state.best_eval
            return figures.loss(best) if best is not None and math.isfinite(best) else "–"
        if found is None:
            return ""
        if column == PEAK:
            return figures.gigabytes(found.peak_bytes) if found.peak_bytes else "–"
        return figures.duration(found.active_seconds) if column == TIME and found.active_seconds else ""


def state_words(entry: Entry) -> tuple[str, str]:
    """A run's state in a word, and its badge's tone."""
    return ("Damaged", "danger") if entry.is_damaged else _STATES[entry.row.state.status]


def sort_key(entry: Entry, column: int) -> tuple[float, str]:
    """What a column is sorted by; what is not known goes to the end of the ascending order."""
    found, best = entry.digest, entry.row.state.best_eval
    number = {
        RUN: float(entry.facts.number),
        HELD_OUT: best if best is not None and math.isfinite(best) else math.inf,
        PEAK: float(found.peak_bytes) if found and found.peak_bytes else math.inf,
        TIME: found.active_seconds if found else math.inf,
    }.get(column, 0.0)
    words = {METHOD: entry.facts.method, STATE: state_words(entry)[0]}.get(column, "")
    return number, words
