"""Finding columns by name and by what is in them, from some first rows. Shared by the row formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]


def column_names(rows: Rows) -> list[str]:
    """All columns of the rows, in order of appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def find(rows: Rows, names: Sequence[str], fits: Callable[[Any], bool]) -> str | None:
    """The first of `names` (any case) that is a column whose values fit in at least half of the rows."""
    by_name = {name.strip().lower(): name for name in reversed(column_names(rows))}
    found = (by_name[name] for name in names if name in by_name)
    return next((column for column in found if share(rows, column, fits) >= 0.5), None)


def find_any(rows: Rows, fits: Callable[[Any], bool]) -> list[str]:
    """All columns whose values fit in at least half of the rows."""
    return [column for column in column_names(rows) if share(rows, column, fits) >= 0.5]


def share(rows: Rows, column: str, fits: Callable[[Any], bool]) -> float:
    """How many of the rows have a fitting value in the column, as a share."""
    return sum(fits(row.get(column)) for row in rows) / len(rows) if rows else 0.0


def is_text(value: Any) -> bool:
    """Text, or a number that can be written as text."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip() != ""


def may_be_text(value: Any) -> bool:
    """Text, or nothing."""
    return value is None or isinstance(value, str)


def quoted(names: Sequence[str]) -> str:
    """Column names for a sentence: "a", "b" and "c"."""
    marked = [f'"{name}"' for name in names]
    return marked[0] if len(marked) == 1 else f"{', '.join(marked[:-1])} and {marked[-1]}"
