"""A row store as it is read: pages, one row, searching, columns of figures. Every call may run in any thread."""

from __future__ import annotations

import bisect
import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from studio.data.store.digest import Mark
from studio.errors import Cancelled, UserError

if TYPE_CHECKING:
    import duckdb

# Sorting a million texts takes longer than a person should wait: it is done once, by the import.
FIRST_ORDER = "by-first.bin"
Ordinals = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class RowLine:
    """A row as a table shows it."""

    ordinal: int
    number: int
    turns: int
    marks: int
    first: str


@dataclass(frozen=True)
class Columns:
    """(rows,) figures of all rows in file order: number in the file, turns, marks, hash of the words."""

    number: npt.NDArray[np.int64]
    turns: npt.NDArray[np.int32]
    marks: npt.NDArray[np.int32]
    words: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.number)

    @cached_property
    def repeats(self) -> npt.NDArray[np.bool_]:
        """(rows,) True where an earlier row has the same words; a tenth of a second for a million rows, once."""
        usable = np.flatnonzero((self.marks & int(Mark.SET_ASIDE)) == 0)
        _, first = np.unique(self.words[usable], return_index=True)
        mask = np.zeros(len(self), np.bool_)
        mask[usable] = True
        mask[usable[first]] = False
        return mask


_COLUMNS = tuple(field.name for field in fields(Columns))
_COMMON = " \netaoinsrhldcumfpgwybv.,kxjqz"  # the commonest first, of English and its kin
_LEAST_TAIL = 3


class RowStore:
    """Reads a store, complete or growing."""

    def __init__(self, folder: Path) -> None:
        import duckdb  # heavy

        self.folder = folder
        self._lock = threading.Lock()
        self._readers, self._is_closed = 0, False
        self._searching: set[duckdb.DuckDBPyConnection] = set()
        self._base: duckdb.DuckDBPyConnection | None = duckdb.connect(config={"threads": 2})
        # Footers of a store of many parts are read once, not for each page.
        self._base.execute("SET parquet_metadata_cache = true")
        self._starts: list[int] = []
        self._manifest: dict[str, Any] = {}
        self.num_rows = 0
        empty = np.zeros(0, np.int64)
        self._columns = 0, Columns(empty, empty.astype(np.int32), empty.astype(np.int32), empty)
        self.refresh()

    @property
    def is_complete(self) -> bool:
        """Whether the import has come to its end."""
        return bool(self._manifest)

    @property
    def counted(self) -> int:
        """Rows as training counts them, which decides what is held out; 0 before the end."""
        return int(self._manifest.get("counted", 0))

    @property
    def unit(self) -> str:
        """What row numbers count."""
        return str(self._manifest.get("unit", "row"))

    @property
    def damage(self) -> UserError | None:
        """Why the file could not be read to its end."""
        told = self._manifest.get("damage")
        return UserError(told["message"], told["hint"]) if told else None

    def refresh(self) -> None:
        """Take in what was written since."""
        manifest = self.folder / "manifest.json"
        if not self._manifest and manifest.is_file():
            self._manifest = json.loads(manifest.read_text(encoding="utf-8"))
        starts = sorted(int(path.stem.removeprefix("part-")) for path in self.folder.glob("part-*.parquet"))
        if len(starts) > len(self._starts) or (self._manifest and not self.num_rows):
            self._starts = starts
            self.num_rows = int(self._manifest.get("rows", 0)) or self._counted_rows()

    def page(self, ordinals: Sequence[int] | Ordinals) -> list[RowLine]:
        """The rows with these ordinals, in this order; those not there (yet) are left out."""
        wanted = [int(ordinal) for ordinal in ordinals]
        found = self._select("ordinal, number, turns, marks, first", wanted)
        lines = {row[0]: RowLine(*row) for row in found}
        return [lines[ordinal] for ordinal in wanted if ordinal in lines]

    def row(self, ordinal: int) -> Mapping[str, Any] | None:
        """The row as it stands in the file; None when it cannot be read."""
        found = self._select("row", [ordinal])
        return json.loads(found[0][0]) if found and found[0][0] else None

    def rows(self, ordinals: Sequence[int] | Ordinals) -> dict[int, Mapping[str, Any]]:
        """Readable rows by ordinal."""
        found = self._select("ordinal, row", [int(ordinal) for ordinal in ordinals])
        return {ordinal: json.loads(row) for ordinal, row in found if row}

    def search(self, text: str) -> Ordinals:
        """Ordinals of the rows that hold `text`, whatever its case, in file order.

        Raises:
            Cancelled: by `stop_searches`.
        """
        import duckdb  # heavy

        if not self._starts:
            return np.zeros(0, np.int32)
        wanted = text.casefold()
        sql = f"SELECT ordinal FROM {self._all()} WHERE contains(search, ?) AND contains(search, ?) ORDER BY ordinal"
        with self._cursor() as cursor:
            with self._lock:
                self._searching.add(cursor)
            try:
                return _ordinals(cursor, sql, [rare_tail(wanted), wanted])
            except duckdb.InterruptException as error:
                raise Cancelled from error
            finally:
                with self._lock:
                    self._searching.discard(cursor)

    def stop_searches(self) -> None:
        """End the searches that are under way."""
        with self._lock:
            for cursor in self._searching:
                cursor.interrupt()

    def by_first(self) -> Ordinals:
        """All ordinals, sorted by the first message; the import has left the order of a complete store."""
        kept = self.folder / FIRST_ORDER
        if self.is_complete and kept.is_file():
            return np.fromfile(kept, dtype="<i4").astype(np.int32, copy=False)
        return self._column(f"SELECT ordinal FROM {self._all()} ORDER BY first, ordinal", [])

    def columns(self) -> Columns:
        """Figures of all rows there are. Parts never change: only new ones are read."""
        num_parts, known = self._columns
        found = [known, *(self._columns_of(part) for part in range(num_parts, len(self._starts)))]
        if len(found) > 1:
            known = Columns(*(np.concatenate([getattr(one, name) for one in found]) for name in _COLUMNS))
            self._columns = num_parts + len(found) - 1, known
        return known

    def _columns_of(self, part: int) -> Columns:
        sql = f"SELECT {', '.join(_COLUMNS)} FROM {self._some([part])} ORDER BY ordinal"
        with self._cursor() as cursor:
            found = cursor.execute(sql).fetchnumpy()
        return Columns(*(found[name] for name in _COLUMNS))

    def ordinal_of(self, number: int) -> int | None:
        """The row at this place of the file, or the next one behind it; None behind the last."""
        if not self._starts:
            return None
        sql = f"SELECT min(ordinal) FROM {self._all()} WHERE number >= ?"
        with self._cursor() as cursor:
            found = cursor.execute(sql, [number]).fetchone()
        return None if found is None or found[0] is None else int(found[0])

    def close(self) -> None:
        """Let nothing be read any more; the files are let go of once those who read now have what they asked for."""
        with self._lock:
            self._is_closed = True
            self._let_go()

    def _let_go(self) -> None:
        """DuckDB refuses to close what a thread is reading from: the last reader closes it."""
        if self._is_closed and not self._readers and self._base is not None:
            self._base.close()
            self._base = None  # a connection that outlives the interpreter is reported as a leak on stderr

    def _select(self, what: str, ordinals: Sequence[int]) -> list[tuple[Any, ...]]:
        parts = sorted({bisect.bisect_right(self._starts, ordinal) - 1 for ordinal in ordinals} - {-1})
        if not parts:
            return []
        listed = ",".join(str(ordinal) for ordinal in ordinals)
        where = f"ordinal IN ({listed})"
        if len(ordinals) == max(ordinals) - min(ordinals) + 1:  # a page in file order: one range, one row group
            where = f"ordinal BETWEEN {min(ordinals)} AND {max(ordinals)}"
        with self._cursor() as cursor:
            found: list[tuple[Any, ...]] = cursor.execute(
                f"SELECT {what} FROM {self._some(parts)} WHERE {where}"
            ).fetchall()
            return found

    def _column(self, sql: str, values: list[Any]) -> Ordinals:
        if not self._starts:
            return np.zeros(0, np.int32)
        with self._cursor() as cursor:
            return _ordinals(cursor, sql, values)

    def _counted_rows(self) -> int:
        if not self._starts:
            return 0
        with self._cursor() as cursor:
            found = cursor.execute(f"SELECT max(ordinal) + 1 FROM {self._some([len(self._starts) - 1])}").fetchone()
        return int(found[0]) if found else 0

    def _all(self) -> str:
        return self._some(range(len(self._starts)))

    def _some(self, parts: Sequence[int]) -> str:
        paths = [str(self._part_path(self._starts[part])).replace("'", "''") for part in parts]
        listed = ", ".join(f"'{path}'" for path in paths)
        return f"read_parquet([{listed}])"

    def _part_path(self, start: int) -> Path:
        return self.folder / f"part-{start:010}.parquet"

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of the calling thread's own, on the same database."""
        import duckdb  # heavy

        with self._lock:
            if self._is_closed or self._base is None:
                raise UserError("The rows are closed.")
            self._readers += 1
            cursor = self._base.cursor()
        try:
            with cursor:
                yield cursor
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            if all(self._part_path(start).is_file() for start in self._starts):
                sentence = f"The rows cannot be read: {str(error).splitlines()[0]}"
                (self.folder / "manifest.json").unlink(missing_ok=True)  # not complete: the next import makes it anew
            else:  # the folder was replaced by a new import
                sentence = "These rows are not there any more."
            raise UserError(sentence, "Import the file again.") from error
        finally:
            with self._lock:
                self._readers -= 1
                self._let_go()


def _ordinals(cursor: duckdb.DuckDBPyConnection, sql: str, values: list[Any]) -> Ordinals:
    return np.asarray(cursor.execute(sql, values).fetchnumpy()["ordinal"], dtype=np.int32)


def rare_tail(text: str) -> str:
    """The end of `text` that begins with its rarest sign, a few signs long at least.

    DuckDB looks for the first byte and then compares: behind each space of a million rows that is most of a search.
    Over a million rows " 500001?" takes 301 ms, "500001?" and then the whole of it 130.
    """
    begins = range(max(1, len(text) - _LEAST_TAIL + 1))
    return text[max(begins, key=lambda at: _rareness(text[at : at + 1])) :]


def _rareness(sign: str) -> int:
    """Signs of other scripts share their first byte with all of their neighbours: they count as common."""
    place = _COMMON.find(sign)
    return place if place >= 0 else len(_COMMON) if sign.isascii() else 0
