"""What the Data page has done on threads: plain functions over the row store. Nothing of Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.data.conversation import Example, RowError
from studio.data.rows import SourceFacts
from studio.data.store.digest import digest
from studio.data.store.findings import Figures, Finding, figures, findings
from studio.data.store.head import read_head
from studio.data.store.lengths import bins, read_lengths
from studio.data.store.reading import Ordinals, RowLine, RowStore
from studio.data.store.view import Query, Rows, Split, select
from studio.errors import UserError
from studio.formats import Recognised, recognise
from studio.gui.tasks import Control
from studio.planner.lengths import RowLengths

NUM_BINS = 44
_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Opened:
    """The beginning of a file.

    Attributes:
        facts: the file.
        reader: how rows are read; None when that is not certain, `why` says so.
        lines, values: the first rows for the table, and as they stand in the file (None where broken).
        damage: why there are no more.
        size: of the file in bytes, and when it was changed, to notice that it is another.
    """

    facts: SourceFacts
    reader: Recognised | None
    why: UserError | None
    lines: list[RowLine]
    values: list[Mapping[str, Any] | None]
    damage: UserError | None
    stamp: tuple[int, int]


@dataclass(frozen=True)
class Summary:
    """What the side of the page shows.

    Attributes:
        figures: sums.
        findings: None until all rows are imported.
        counts: rows by length, in equal steps from 0 to `top` tokens.
        lengths: for the plan; None until all are counted.
    """

    figures: Figures
    findings: list[Finding] | None
    counts: npt.NDArray[np.int64]
    top: int
    lengths: RowLengths | None


def open_head(control: Control, path: Path, columns: Mapping[str, str], key: str) -> Opened:
    """Read the first rows.

    Raises:
        UserError: not one can be read.
    """
    head, reader, why = read_head(path), None, None
    try:
        reader = recognise(head.good, columns, key)
    except UserError as error:
        why = error
    lines = [] if reader is None else [digest(row, reader) for row in head.rows]
    shown = [RowLine(at, line.number, line.turns, line.marks, line.first) for at, line in enumerate(lines)]
    return Opened(head.facts, reader, why, shown, [row.value for row in head.rows], head.damage, stamp_of(path))


def stamp_of(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for a file that is gone."""
    try:
        facts = path.stat()
    except OSError:
        return (0, 0)
    return facts.st_size, facts.st_mtime_ns


def open_store(control: Control, folder: Path) -> RowStore:
    """Open it, complete or growing."""
    return RowStore(folder)


Gathered = tuple[Rows, Summary]


def gather(control: Control, store: RowStore, before: Gathered | None, lengths: Path | None, split: Split) -> Gathered:
    """Figures of all rows there are by now.

    Args:
        before: what was gathered last of this store: what did not change since is not made again.
    """
    store.refresh()
    is_as_long = before is not None and before[0].num_rows == store.num_rows
    columns = before[0].columns if before is not None and is_as_long else store.columns()
    counted = read_lengths(lengths) if lengths else Rows(columns).lengths
    rows = Rows(columns, counted[: len(columns)], store.counted, split)
    found = None
    if store.is_complete:
        is_same = before is not None and is_as_long and before[0].split == split and before[0].counted == rows.counted
        found = before[1].findings if before is not None and is_same else None
        found = findings(rows) if found is None else found
    return rows, _summary(rows, found)


def _summary(rows: Rows, found: list[Finding] | None) -> Summary:
    sums = figures(rows)
    good = rows.lengths["length"][rows.lengths["length"] >= 0]
    top = _top(sums.longest, rows.split.max_length, good)
    return Summary(sums, found, bins(good, top, NUM_BINS), top, _row_lengths(rows, good))


def _top(longest: int, limit: int, lengths: npt.NDArray[np.int32]) -> int:
    """Where the length scale ends: with the longest row, or soon behind the limit when only a few are far beyond."""
    if not len(lengths):
        return max(1, limit)
    usual = int(np.percentile(lengths, 99.5))
    wanted = max(usual, min(longest, usual * 2))
    if limit and wanted * 0.4 < limit < wanted * 3:
        wanted = max(wanted, round(limit * 1.25))
    return max(1, wanted)


def _row_lengths(rows: Rows, good: npt.NDArray[np.int32]) -> RowLengths | None:
    if not rows.is_counted or not len(good):
        return None
    points = np.quantile(good, _QUANTILES, method="inverted_cdf")
    quantiles = tuple((share, int(length)) for share, length in zip(_QUANTILES, points, strict=True))
    return RowLengths(len(good), float(good.mean()), quantiles)


def select_rows(control: Control, store: RowStore, rows: Rows, query: Query) -> Ordinals:
    """Ordinals to show."""
    return select(store, rows, query)


def read_page(control: Control, store: RowStore, ordinals: list[int]) -> list[RowLine]:
    """Rows of a page."""
    return store.page(ordinals)


def look_at(
    control: Control, value: Mapping[str, Any] | RowStore, ordinal: int, reader: Recognised
) -> tuple[Mapping[str, Any] | None, Example | None, str]:
    """The row as it stands in the file, what its format makes of it, and what is wrong with it.

    Args:
        value: the row, or the store that has it.
    """
    row = value.row(ordinal) if isinstance(value, RowStore) else value
    if row is None:
        return None, None, "cannot be read"
    try:
        return row, reader.read(row), ""
    except RowError as error:
        return row, None, str(error)
