"""The row that is chosen: fetched, shown as a conversation, asked about, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QObject

from studio.data.conversation import Example
from studio.data.store.reading import RowStore
from studio.gui import figures
from studio.gui.context import Context
from studio.gui.data_page.actions import DataActions
from studio.gui.data_page.feed import DataFeed
from studio.gui.data_page.row_card import RowCard
from studio.gui.data_page.seer import Question, Seer
from studio.gui.data_page.work import look_at
from studio.gui.tasks import Task

_NO_MODEL = "The base model is not on this computer yet. Its tokens are shown once it is."


class ChosenRow(QObject):
    """Follows the choice.

    Attributes:
        row: as it stands in the file; None where it cannot be read.
        ordinal: its place among the rows; None while none is shown.
        seer: tells how the model sees it.
    """

    def __init__(self, context: Context, feed: DataFeed, acts: DataActions, card: RowCard) -> None:
        super().__init__(card)
        self._tasks, self._feed, self._acts, self._card = context.tasks, feed, acts, card
        self.row: Mapping[str, Any] | None = None
        self.ordinal: int | None = None
        self.seer = Seer(context.tasks, self)
        self._looking: Task | None = None
        self._question: Question | None = None
        self.seer.seen.connect(card.show_seen)
        self.seer.model_known.connect(self._on_model_known)
        self.seer.failed.connect(card.show_note)
        card.edit_wanted.connect(self.edit)
        card.drop_wanted.connect(self.drop)

    def choose(self, ordinal: int) -> None:
        """Show a row."""
        if ordinal != self.ordinal:
            self.ordinal = ordinal
            self.look()

    def forget(self) -> None:
        """The same place is another row now, or the same one edited."""
        self.ordinal = None

    def look(self) -> None:
        """Fetch and show the row, off the window's thread."""
        head, ordinal = self._feed.head, self.ordinal
        if head is None or head.reader is None or ordinal is None:
            return
        if self._looking is not None:
            self._looking.cancel()
        store = self._feed.store
        is_kept = store is not None and ordinal < store.num_rows  # else not imported as far yet
        if not is_kept and ordinal >= len(head.values):
            return
        source = store if is_kept else head.values[ordinal]
        self._looking = self._tasks.run(look_at, source, ordinal, head.reader, on_done=self._on_looked)
        folder = source.folder if isinstance(source, RowStore) else None
        row = None if isinstance(source, RowStore) else source
        self._question = Question(row, folder, ordinal, head.reader, self._feed.settings)

    def number(self) -> int:
        """The row's number in the file; 0 for none."""
        rows, head, ordinal = self._feed.rows, self._feed.head, self.ordinal
        if ordinal is None:
            return 0
        if rows is not None and ordinal < rows.num_rows:
            return int(rows.columns.number[ordinal])
        return head.lines[ordinal].number if head is not None and ordinal < len(head.lines) else 0

    def edit(self) -> None:
        """Ask how the row is to read."""
        number, head = self.number(), self._feed.head
        if number and self.row is not None and head is not None and head.reader is not None:
            self._acts.edit(number, self.row, head.reader)

    def drop(self) -> None:
        """Leave the row out."""
        number = self.number()
        if number and not self._acts.is_busy:
            self._acts.drop_row(number)

    def _on_looked(self, found: tuple[Mapping[str, Any] | None, Example | None, str]) -> None:
        self.row, example, problem = found
        number = self.number()
        title = f"Row {figures.count(number)}" if number else "Row"
        self._card.show_row(title, self.row, example, problem, may_edit=not self._acts.is_busy)
        if example is not None and self._question is not None:
            self.seer.ask(self._question)

    def _on_model_known(self, is_here: bool) -> None:
        if not is_here:
            self._card.show_note(_NO_MODEL)
