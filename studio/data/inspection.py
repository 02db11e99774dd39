"""Looking through a whole file without a model: how many rows, which columns, what is broken. Nothing is tokenised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.data.fields import kind_of
from studio.data.rows import SourceFacts, SourceRow
from studio.data.source import open_source
from studio.errors import Cancelled

_KEPT_BROKEN = 20
_LOOK_EVERY = 1000

Progress = Callable[[int, int], None]


@dataclass
class ColumnFacts:
    """What a column holds.

    Attributes:
        filled: rows with something in it.
        kinds: kind of value ("text", "list", ...) -> rows.
        longest: characters of its longest text.
    """

    filled: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    longest: int = 0

    def take(self, value: Any) -> None:
        kind = kind_of(value)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.filled += value is not None and value != "" and value != []
        if isinstance(value, str):
            self.longest = max(self.longest, len(value))


@dataclass
class Inspection:
    """What a pass through a file found.

    Attributes:
        facts: container and encoding.
        size_bytes: on disk.
        rows, broken: rows in all, and how many of them cannot be read.
        problems: the first broken rows.
        columns: name -> what is in it, in order of appearance.
        first: the first good rows.
    """

    facts: SourceFacts
    size_bytes: int
    rows: int = 0
    broken: int = 0
    problems: list[SourceRow] = field(default_factory=list)
    columns: dict[str, ColumnFacts] = field(default_factory=dict)
    first: list[Mapping[str, Any]] = field(default_factory=list)

    def take(self, row: SourceRow, keep: int) -> None:
        """Take in one row."""
        self.rows += 1
        if row.value is None:
            self.broken += 1
            if len(self.problems) < _KEPT_BROKEN:
                self.problems.append(row)
            return
        for name, value in row.value.items():
            self.columns.setdefault(str(name), ColumnFacts()).take(value)
        if len(self.first) < keep:
            self.first.append(row.value)


def inspect(
    path: Path,
    *,
    keep: int = 200,
    on_progress: Progress = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Inspection:
    """Go through the whole file once.

    Args:
        keep: good rows to keep for a look at their format.
        on_progress: (rows seen, 0) now and then; how many there are is not known before the end.

    Raises:
        UserError: it cannot be read, or not to its end.
        Cancelled: `is_cancelled` said so.
    """
    source = open_source(path)
    found = Inspection(source.facts, path.stat().st_size)
    for row in source.rows():
        found.take(row, keep)
        if found.rows % _LOOK_EVERY == 0:
            on_progress(found.rows, 0)
            if is_cancelled():
                raise Cancelled
    return found
