"""Row formats: how a row of a file becomes a conversation. One file a format, recognised by looking at rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.data.conversation import Example
from studio.units import Registry

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Guess:
    """How sure a format is that rows are its own.

    Attributes:
        score: 0 not mine, 1 certainly mine.
        columns: role of the format -> column of the file, as found.
        reason: one sentence for a person: why it thinks so.
    """

    score: float
    columns: dict[str, str]
    reason: str


@dataclass(frozen=True)
class Format:
    """A row format.

    Attributes:
        key: the file's name.
        title: for people.
        summary: what its rows look like, one sentence.
        roles: role -> what belongs there; a role ending in "?" may be left out.
        sample: one example row, copyable.
        guess: looks at some first rows (possibly none) and says how sure it is.
        read: turns one row into an example by the given columns; raises `RowError` with the reason when it cannot.
    """

    key: str
    title: str
    summary: str
    roles: Mapping[str, str]
    sample: Mapping[str, Any]
    guess: Callable[[Sequence[Row]], Guess]
    read: Callable[[Row, Mapping[str, str]], Example]


FORMATS: Registry[Format] = Registry("studio.formats", "FORMAT", "data format")
