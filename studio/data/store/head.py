"""The first rows of a file, read from the file itself: what a page shows before the import has begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.data.rows import SourceFacts, SourceRow
from studio.data.source import first_rows, open_source
from studio.data.text_files import said_of
from studio.errors import UserError

HEAD_ROWS = 200


@dataclass(frozen=True)
class Head:
    """The beginning of a file.

    Attributes:
        facts: the file.
        rows: its first rows, broken ones too.
        damage: why there are no more of them, when the file is damaged as early as this.
        good: readable rows to tell the format from; may come from further on when all the first are broken.
    """

    facts: SourceFacts
    rows: list[SourceRow]
    damage: UserError | None
    good: list[Mapping[str, Any]]


def read_head(path: Path, count: int = HEAD_ROWS) -> Head:
    """Read it.

    Raises:
        UserError: not one row can be read.
    """
    with said_of(path):  # a folder that may not be looked into, a name that is too long
        source = open_source(path)
    rows: list[SourceRow] = []
    damage = None
    try:
        for row in source.rows():
            rows.append(row)
            if len(rows) >= count:
                break
    except UserError as error:
        damage = error
    good = [row.value for row in rows if row.value is not None]
    if damage is not None and not good:
        raise damage
    return Head(source.facts, rows, damage, good or first_rows(source, count))
