"""What reading a file of rows gives, whatever the container: rows one by one, each with its place, good or broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

# A single row larger than this is set aside: no training row is, and one missing quote must not fill the memory.
MAX_ROW_BYTES = 32_000_000


class SourceRow(NamedTuple):
    """One row of a file.

    Attributes:
        number: its place, from 1: a line where the container has lines, else the how-manieth row.
        value: column -> value; None for a broken row.
        problem: why it is broken, a clause such as "is not JSON: ..."; "" for a good row.
    """

    number: int
    value: Mapping[str, Any] | None
    problem: str = ""


@dataclass(frozen=True)
class SourceFacts:
    """What was found out about a file by looking at its beginning.

    Attributes:
        path: the file.
        container: for people ("JSONL", "CSV", ...).
        unit: what row numbers count: "line" or "row".
        encoding: of the text, "" where there is none.
        compression: "gzip" or "".
        notes: decisions a person should know of, full sentences.
    """

    path: Path
    container: str
    unit: str
    encoding: str = ""
    compression: str = ""
    notes: tuple[str, ...] = field(default=())


class Source(Protocol):
    """A file of rows. Reading never holds more than a few rows in memory, and may begin again at any time."""

    @property
    def facts(self) -> SourceFacts: ...

    def rows(self) -> Iterator[SourceRow]:
        """All rows in file order, broken ones included, empty lines left out.

        Raises:
            UserError: the file as a whole cannot be read on (cut off, damaged).
        """
        ...

    def count(self) -> int:
        """How many rows `rows` gives; quick where the container allows it."""
        ...

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Iterator[SourceRow]:
        """Of `rows`, those whose place from 0 is True in `mask`; quicker than all where the container allows it."""
        ...


class ChosenByReading:
    """`chosen` for containers that cannot skip a row without reading it."""

    def rows(self) -> Iterator[SourceRow]:
        """As `Source.rows`."""
        raise NotImplementedError

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Iterator[SourceRow]:
        """As `Source.chosen`."""
        return (row for ordinal, row in enumerate(self.rows()) if mask[ordinal])
