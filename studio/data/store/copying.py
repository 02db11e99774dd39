"""A project's own copy of a file of rows, with rows changed or left out. The file that it is made from stays as it is.

The copy is JSONL, and every row keeps its place: what is left out leaves an empty line, which no reader counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from studio.data.rows import Source
from studio.data.source import open_source
from studio.data.text_files import said_of
from studio.errors import Cancelled, UserError
from studio.paths import atomic_path

_LOOK_EVERY = 2_000
_VERSION_MARK = re.compile(r"-edited-\d+$")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Changes:
    """What the copy does not share with the original; rows by their number in the file.

    Attributes:
        dropped: rows to leave out.
        changed: rows that read otherwise.
        change: done to every other row; None leaves them.
        only_before_damage: stop where the file is damaged, in place of failing.
    """

    dropped: frozenset[int] = frozenset()
    changed: Mapping[int, Row] = field(default_factory=dict)
    change: Callable[[Row], Row] | None = None
    only_before_damage: bool = False


def next_copy(folder: Path, original: Path) -> Path:
    """A name in `folder` that is free: `rows-edited-2.jsonl` for the second copy of rows.csv."""
    stem = _stem(original)
    taken = {path.name for path in folder.glob("*-edited-*.jsonl")} if folder.is_dir() else set()
    number = 1
    while f"{stem}-edited-{number}.jsonl" in taken:
        number += 1
    return folder / f"{stem}-edited-{number}.jsonl"


def are_versions(one: Path, other: Path) -> bool:
    """Whether two files are versions of the same rows, by their names: the original and its edited copies."""
    return _stem(one) == _stem(other)


def _stem(path: Path) -> str:
    return _VERSION_MARK.sub("", path.name.removesuffix(".gz").rsplit(".", 1)[0])


def write_copy(
    original: Path,
    target: Path,
    changes: Changes,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Write the copy; returns how many rows differ from the original.

    Raises:
        UserError: the original cannot be read, or the copy not be written.
        Cancelled: `is_cancelled` said so; there is no copy then.
    """
    source = open_source(original)
    try:
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            count = _Copier(file, changes, on_progress, is_cancelled).copy(source, original)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}.") from error
    return count


class _Copier:
    def __init__(
        self,
        file: IO[bytes],
        changes: Changes,
        on_progress: Callable[[int, int], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._file = file
        self._changes = changes
        self._on_progress = on_progress
        self._is_cancelled = is_cancelled
        self._count = 0

    def copy(self, source: Source, original: Path) -> int:
        facts = source.facts
        is_lines = facts.container == "JSONL" and facts.encoding in ("utf-8", "utf-8-sig") and not facts.compression
        lines = self._of_lines(original) if is_lines and self._changes.change is None else self._of_rows(source)
        try:
            for number, line in lines:
                self._file.write(line + b"\n")
                if number % _LOOK_EVERY == 0:
                    self._on_progress(number, 0)
                    if self._is_cancelled():
                        raise Cancelled
        except UserError:
            if not self._changes.only_before_damage:
                raise
        return self._count

    def _of_lines(self, original: Path) -> Iterator[tuple[int, bytes]]:
        """Untouched lines byte for byte, broken ones too."""
        with said_of(original), original.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number in self._changes.dropped:
                    self._count += 1
                    yield number, b""
                elif number in self._changes.changed:
                    self._count += 1
                    yield number, _written(self._changes.changed[number])
                else:
                    yield number, line.rstrip(b"\r\n")

    def _of_rows(self, source: Source) -> Iterator[tuple[int, bytes]]:
        """Rows written anew, each on the line of its number. A row that cannot be read becomes an empty line."""
        next_line = 1
        for row in source.rows():
            yield from ((line, b"") for line in range(next_line, row.number))
            next_line = row.number + 1
            yield row.number, b"" if row.value is None else self._row(row.number, row.value)

    def _row(self, number: int, value: Row) -> bytes:
        if number in self._changes.dropped:
            self._count += 1
            return b""
        changed = self._changes.changed.get(number, value)
        if self._changes.change is not None:
            changed = self._changes.change(changed)
        self._count += changed != value
        return _written(changed)


def _written(value: Row) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:  # half a character: written as an escape, as it came
        return json.dumps(value, default=str).encode()
