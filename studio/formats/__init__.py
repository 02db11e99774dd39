"""Row formats: how a row of a file becomes a conversation. One file a format, recognised by looking at rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.data.columns import column_names
from studio.data.conversation import Example
from studio.errors import Problem, UserError, nearest
from studio.units import Registry

Row = Mapping[str, Any]

# Below this nobody should trust the guess; two formats closer together than the margin are a tie.
_SURE = 0.5
_MARGIN = 0.04


@dataclass(frozen=True)
class Guess:
    """How sure a format is that rows are its own.

    Attributes:
        score: 0 not mine, 1 certainly mine.
        columns: role of the format -> column of the file, as found.
        reason: one sentence for a person: why it thinks so, or what it looked for.
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
        write: the other way round, for rows that a person adds; raises `RowError` for what such a row cannot hold.
    """

    key: str
    title: str
    summary: str
    roles: Mapping[str, str]
    sample: Mapping[str, Any]
    guess: Callable[[Sequence[Row]], Guess]
    read: Callable[[Row, Mapping[str, str]], Example]
    write: Callable[[Example, Mapping[str, str]], dict[str, Any]]

    @property
    def required_roles(self) -> tuple[str, ...]:
        """Roles that need a column."""
        return tuple(role for role in self.roles if not role.endswith("?"))

    @property
    def role_names(self) -> tuple[str, ...]:
        """All roles, without the mark of those that may be left out."""
        return tuple(role.rstrip("?") for role in self.roles)


FORMATS: Registry[Format] = Registry("studio.formats", "FORMAT", "data format")


@dataclass(frozen=True)
class Recognised:
    """A format settled for a file, with its columns. It pickles by the format's key.

    Attributes:
        format: how rows are read.
        columns: role -> column.
        reason: why, one sentence.
    """

    format: Format
    columns: Mapping[str, str]
    reason: str

    @property
    def identity(self) -> str:
        """Format and columns, for cache keys."""
        return json.dumps([self.format.key, sorted(self.columns.items())])

    def read(self, row: Row) -> Example:
        """One row as an example.

        Raises:
            RowError: it cannot be used.
        """
        return self.format.read(row, self.columns)

    def write(self, example: Example) -> dict[str, Any]:
        """An example as a row that reads as it again.

        Raises:
            RowError: rows of this format cannot hold it.
        """
        return self.format.write(example, self.columns)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_again, (self.format.key, dict(self.columns), self.reason))


def recognise(rows: Sequence[Row], columns: Mapping[str, str] | None = None, key: str = "auto") -> Recognised:
    """Settle format and columns.

    Args:
        rows: some first rows of the file.
        columns: role -> column as the person said; overrides what is found by looking.
        key: a format, or "auto".

    Raises:
        UserError: nothing fits, two formats fit equally well, or what the person said does not fit the file.
    """
    if not rows:
        raise UserError("There are no rows to look at.", "Choose a file that holds some.")
    said = dict(columns or {})
    _check_columns(said, rows)
    if key != "auto":
        return _settle(FORMATS.get(key), said, rows)
    candidates = [fmt for fmt in FORMATS.all().values() if set(said) <= set(fmt.role_names)]
    if not candidates:
        known = sorted({role for fmt in FORMATS.all().values() for role in fmt.role_names})
        unknown = next((role for role in said if role not in known), "")
        hint = nearest(unknown, known) if unknown else "Name the format as well, in data.format."
        raise UserError(f"No format has all of the roles {', '.join(said)} of data.columns.", hint)
    return _best(candidates, said, rows)


def _best(candidates: Sequence[Format], said: Mapping[str, str], rows: Sequence[Row]) -> Recognised:
    guesses = {fmt.key: fmt.guess(rows) for fmt in candidates}
    complete = [fmt for fmt in candidates if said and set(fmt.required_roles) <= set(said)]
    if len(complete) == 1:
        return _settle(complete[0], said, rows)
    ranked = sorted(candidates, key=lambda fmt: -guesses[fmt.key].score)
    first = guesses[ranked[0].key]
    if first.score < _SURE:
        raise _nothing_fits(ranked, guesses, rows)
    close = [fmt for fmt in ranked if guesses[fmt.key].score > first.score - _MARGIN]
    if len(close) > 1:
        raise _tie(close, guesses)
    return _settle(ranked[0], said, rows)


def _settle(fmt: Format, said: Mapping[str, str], rows: Sequence[Row]) -> Recognised:
    strange = [role for role in said if role not in fmt.role_names]
    if strange:
        raise UserError(f'The format "{fmt.key}" has no role "{strange[0]}".', nearest(strange[0], fmt.role_names))
    guess = fmt.guess(rows)
    columns = {**guess.columns, **said}
    missing = [role for role in fmt.required_roles if role not in columns]
    if missing:
        raise UserError(
            f'The format "{fmt.key}" needs a column for {" and ".join(missing)}.',
            f"Columns there are: {', '.join(column_names(rows)) or 'none'}. "
            f"Say which one it is, for example data.columns.{missing[0]}=NAME.",
        )
    reason = guess.reason if not said else f"Columns as given: {_listed(columns)}."
    return Recognised(fmt, columns, reason)


def _check_columns(said: Mapping[str, str], rows: Sequence[Row]) -> None:
    there = column_names(rows)
    for role, column in said.items():
        if column not in there:
            raise UserError(f'There is no column "{column}" (data.columns.{role}).', nearest(column, there))


def _nothing_fits(ranked: Sequence[Format], guesses: Mapping[str, Guess], rows: Sequence[Row]) -> UserError:
    return UserError(
        f"These rows fit no known format. Their columns are: {', '.join(column_names(rows)) or 'none'}.",
        "Say which column plays which role, for example data.columns.question=NAME data.columns.answer=NAME.",
        problems=[Problem(fmt.key, guesses[fmt.key].reason) for fmt in sorted(ranked, key=lambda fmt: fmt.key)],
    )


def _tie(close: Sequence[Format], guesses: Mapping[str, Guess]) -> UserError:
    return UserError(
        f"These rows fit more than one format equally well: {', '.join(fmt.key for fmt in close)}.",
        f"Set data.format to the one you mean, for example data.format={close[0].key}.",
        problems=[Problem(fmt.key, guesses[fmt.key].reason) for fmt in close],
    )


def _listed(columns: Mapping[str, str]) -> str:
    return ", ".join(f'{role} is "{column}"' for role, column in columns.items())


def _again(key: str, columns: dict[str, str], reason: str) -> Recognised:
    return Recognised(FORMATS.get(key), columns, reason)
