"""Which rows a table shows, and in what order: searching, filtering and sorting without reading a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from studio.data.growing import num_heldout
from studio.data.ordering import chosen
from studio.data.store.digest import Mark
from studio.data.store.lengths import RECORD, Lengths
from studio.data.store.reading import Columns, Ordinals, RowStore
from studio.errors import UserError

Mask = npt.NDArray[np.bool_]
SortBy = Literal["number", "first", "turns", "tokens"]


@dataclass(frozen=True)
class Split:
    """What decides about rows besides the file: `max_length` in tokens (0 never cuts), and what is held out."""

    max_length: int = 0
    holdout: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Rows:
    """All that is known of the rows of a store, as figures.

    Attributes:
        columns: (rows,) what the import found.
        lengths: (rows counted,) tokens; shorter than the columns while they are being counted.
        counted: rows as training counts them.
        split: limits.
    """

    columns: Columns
    lengths: Lengths = field(default_factory=lambda: np.zeros(0, RECORD))
    counted: int = 0
    split: Split = Split()

    @property
    def num_rows(self) -> int:
        return len(self.columns)

    @property
    def is_counted(self) -> bool:
        """Whether the length of every row is known."""
        return len(self.lengths) >= self.num_rows > 0

    def tokens(self) -> npt.NDArray[np.int32]:
        """(rows,) uncut lengths; -1 where not known or set aside."""
        known = np.full(self.num_rows, -1, np.int32)
        known[: len(self.lengths)] = self.lengths["length"][: self.num_rows]
        return known

    def set_aside(self) -> Mask:
        """(rows,) True where a run would leave the row out, or refuse to start."""
        mask = self.marked(Mark.SET_ASIDE)
        mask[: len(self.lengths)] |= self.lengths["length"][: self.num_rows] < 0
        return mask | self.answer_lost()

    def too_long(self) -> Mask:
        """(rows,) True where the row is cut."""
        return self.tokens() > (self.split.max_length or np.iinfo(np.int32).max)

    def answer_lost(self) -> Mask:
        """(rows,) True where the cut leaves nothing to learn."""
        mask = np.zeros(self.num_rows, np.bool_)
        if self.split.max_length:
            mask[: len(self.lengths)] = self.lengths["first"][: self.num_rows] >= self.split.max_length
        return mask

    def held_out(self) -> Mask:
        """(rows,) True where the row is held out, exactly as training does it."""
        count = self.counted or self.num_rows
        try:
            wanted = num_heldout(self.split.holdout, count)
        except UserError:
            wanted = 0  # more than there are: the check of the spec says so
        return chosen(count, wanted, self.split.seed)[: self.num_rows]

    def marked(self, mark: Mark) -> Mask:
        """(rows,) True where the import found this."""
        return np.asarray((self.columns.marks & int(mark)) != 0)

    def repeats(self) -> Mask:
        """(rows,) True where an earlier row has the same words."""
        return self.columns.repeats

    def leaked(self) -> Mask:
        """(rows,) True for rows to learn from whose words are held out as well."""
        usable, held = ~self.marked(Mark.SET_ASIDE), self.held_out()
        measured = np.unique(self.columns.words[usable & held])
        return usable & ~held & np.isin(self.columns.words, measured)


@dataclass(frozen=True)
class Filter:
    """A choice of rows a person can make.

    Attributes:
        key: its name in code.
        title: for people.
        mask: which rows.
    """

    key: str
    title: str
    mask: Callable[[Rows], Mask]


FILTERS = {
    one.key: one
    for one in (
        Filter("all", "All rows", lambda rows: np.ones(rows.num_rows, np.bool_)),
        Filter("too_long", "Too long", Rows.too_long),
        Filter("set_aside", "Set aside", Rows.set_aside),
        Filter("held_out", "Held out", Rows.held_out),
        Filter("repeats", "Repeat an earlier row", Rows.repeats),
        Filter("leaked", "Also in held-out rows", Rows.leaked),
        Filter("emails", "E-mail addresses", lambda rows: rows.marked(Mark.EMAIL)),
        Filter("echo", "Answer repeats the question", lambda rows: rows.marked(Mark.ECHO)),
        Filter("question_last", "Ends with a question", lambda rows: rows.marked(Mark.ENDS_WITH_QUESTION)),
        Filter("one_word", "Answer of one word", lambda rows: rows.marked(Mark.ONE_WORD)),
    )
}


@dataclass(frozen=True)
class Query:
    """What to show."""

    search: str = ""
    filter: str = "all"
    sort: SortBy = "number"
    descending: bool = False


def select(store: RowStore, rows: Rows, query: Query) -> Ordinals:
    """Ordinals to show, in order. An empty search finds all."""
    mask = FILTERS[query.filter].mask(rows)
    if query.search:
        found = np.zeros(rows.num_rows, np.bool_)
        hits = store.search(query.search)
        found[hits[hits < rows.num_rows]] = True  # the store may have grown since
        mask = mask & found
    order = _ordered(store, rows, query)
    order = order[order < rows.num_rows]
    return order[mask[order]]


def _ordered(store: RowStore, rows: Rows, query: Query) -> Ordinals:
    if query.sort == "first":
        order = store.by_first()
        return order[::-1] if query.descending else order
    if query.sort == "number":
        order = np.arange(rows.num_rows, dtype=np.int32)
        return order[::-1] if query.descending else order
    keys = rows.columns.turns if query.sort == "turns" else rows.tokens()
    # Stable either way: equal rows stay in file order.
    return np.argsort(-keys if query.descending else keys, kind="stable").astype(np.int32)
