"""The full page: curves above the table, one run's details beside them."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.gui.controls import Button, Card, Hairline
from studio.gui.icons import Icon
from studio.gui.runs_page.details import Details
from studio.gui.runs_page.library import Entry
from studio.gui.runs_page.model import RunsModel
from studio.gui.runs_page.overlay_card import OverlayCard
from studio.gui.runs_page.table import RunsTable
from studio.gui.theme import at_text_size, theme
from studio.gui.tokens import CARD_GAP

_SIDE, _WIDE_SIDE = 308, 380
_NARROW, _WIDE = 940, 1380
_ENDINGS = {"failed": "failed", "interrupted": "were interrupted", "new": "never began"}


class Board(QWidget):
    """Curves, table, details.

    Signals:
        asked(str): see `Details`; for the selected run.
    """

    asked = Signal(str)

    def __init__(self, overlay: OverlayCard, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: list[Entry] = []
        self._selected = ""
        self._shows_early = False
        self._details_wanted = False
        self.model = RunsModel(self)
        self.table = RunsTable(self.model)
        self.overlay, self.details = overlay, Details()
        self.early = Button("", "quiet", icon=Icon.CARET_RIGHT, compact=True)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(CARD_GAP)
        left = QVBoxLayout()
        left.setSpacing(CARD_GAP)
        left.addWidget(self.overlay, 13)
        card = Card(padding=5, spacing=0)  # no less: the table's corners are square, the card's round
        card.body.addWidget(self.table, 1)
        self._line = Hairline()
        card.body.addWidget(self._line)
        foot = QHBoxLayout()
        foot.setContentsMargins(8, 4, 8, 4)
        foot.addWidget(self.early)
        foot.addStretch(1)
        card.body.addLayout(foot)
        left.addWidget(card, 9)
        row.addLayout(left, 1)
        row.addWidget(self.details)

    def _connect(self) -> None:
        theme().changed.connect(self._fit)
        self.model.ticks_changed.connect(self._overlay)
        self.model.modelReset.connect(self._select_again)
        self.table.toggled.connect(self.model.toggle)
        self.table.opened.connect(lambda _: self.asked.emit("open"))
        self.table.delete_wanted.connect(lambda _: self.asked.emit("delete"))
        self.table.selectionModel().currentRowChanged.connect(self._on_current)
        self.details.asked.connect(self.asked)
        self.early.clicked.connect(self._toggle_early)

    def show_entries(self, entries: list[Entry]) -> None:
        """Show these runs."""
        gone = {entry.run.name for entry in self._entries} - {entry.run.name for entry in entries}
        self.model.forget(gone)
        self._entries = entries
        self._fill()

    def tell_digested(self, name: str) -> None:
        """A run's figures are known."""
        self._fill()
        self.model.tell_changed(name)
        if self.model.slot(name) is not None:
            self._overlay()

    def tick(self, names: list[str]) -> None:
        """Overlay these, when nothing was chosen yet."""
        for name in names:
            if self.model.slot(name) is None:
                self.model.toggle(name)

    def forget_all(self) -> None:
        """Another project: nothing is ticked."""
        self.model.forget(set(self.model.ticked()))

    def current_name(self) -> str:
        """The selected run's name."""
        return self.table.current_name()

    def toggle_details(self) -> None:
        """Show or hide the side where it has no room of its own."""
        self._details_wanted = not self._details_wanted
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    # Inside

    def _fill(self) -> None:
        early = [entry for entry in self._entries if entry.has_ended_early]
        folds = bool(early) and len(early) < len(self._entries)
        hidden = {id(entry) for entry in early} if folds and not self._shows_early else set()
        self.model.set_entries([entry for entry in self._entries if id(entry) not in hidden])
        self.early.setVisible(folds)
        self._line.setVisible(folds)
        self.early.setText(_early_words(early))
        self.early.glyph = Icon.CARET_DOWN if self._shows_early else Icon.CARET_RIGHT
        self.early.updateGeometry()
        self._show_details()

    def _toggle_early(self) -> None:
        self._shows_early = not self._shows_early
        self._fill()

    def _select_again(self) -> None:
        """After the rows have changed their order: the run that was selected, or the first."""
        if self.model.entries:
            self.table.selectRow(max(0, self.model.row_of(self._selected)))

    def _on_current(self, current: QModelIndex, before: QModelIndex) -> None:
        self._selected = self.current_name() or self._selected
        self._show_details()

    def _show_details(self) -> None:
        name = self.current_name()
        entry = next((entry for entry in self._entries if entry.run.name == name), None)
        self.details.show_entry(entry, is_best=entry is not None and entry is self._best())
        self._fit()

    def _best(self) -> Entry | None:
        measured = [entry for entry in self._entries if not entry.is_damaged and entry.digest and entry.digest.best]
        if len(measured) < 2:
            return None
        return min(measured, key=lambda entry: entry.digest.best[1])  # type: ignore[union-attr,index]

    def _overlay(self) -> None:
        by_name = {entry.run.name: entry for entry in self._entries}
        ticked = [(by_name[name], self.model.slot(name) or 0) for name in self.model.ticked() if name in by_name]
        self.overlay.show_runs(ticked)

    def _fit(self) -> None:
        has_room = self.width() >= at_text_size(_NARROW)
        self.details.setVisible((has_room or self._details_wanted) and bool(self.current_name()))
        self.details.setFixedWidth(at_text_size(_WIDE_SIDE if self.width() >= at_text_size(_WIDE) else _SIDE))


def _early_words(early: list[Entry]) -> str:
    """ "2 runs that ended early: 1 failed, 1 was interrupted"."""
    counts: dict[str, int] = {}
    for entry in early:
        words = _ENDINGS[entry.row.state.status]
        counts[words] = counts.get(words, 0) + 1
    told = ", ".join(
        f"{count} {words.replace('were', 'was') if count == 1 else words}" for words, count in counts.items()
    )
    return f"{len(early)} run{'' if len(early) == 1 else 's'} that ended early: {told}"
