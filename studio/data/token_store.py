"""Tokenised rows on disk: flat files that grow while one process writes and any number read.

`ids.bin` (int32) and `trained.bin` (one byte a token) hold all rows end to end; `index.bin` has one record a row and
is written after them, so its length says how many rows can be read. `manifest.json` comes last: it means complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.data.encoding import EncodedRow
from studio.errors import Problem, UserError
from studio.paths import write_text

VERSION = 1
RECORD = np.dtype(
    [("start", "<i8"), ("length", "<i4"), ("trained", "<i4"), ("ordinal", "<i8"), ("number", "<i8"), ("cut", "<i8")]
)
MAX_BAD_KEPT = 10_000


@dataclass
class Totals:
    """Running sums. `seen` counts rows read from the file, `used` those that became tokens."""

    seen: int = 0
    used: int = 0
    bad: int = 0
    cut: int = 0
    tokens: int = 0
    trained: int = 0

    def add(self, records: npt.NDArray[np.void]) -> None:
        """Count rows by their records."""
        self.used += len(records)
        self.cut += int(np.count_nonzero(records["cut"]))
        self.tokens += int(records["length"].sum())
        self.trained += int(records["trained"].sum())


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row set aside: its place in the file (from 1) and by order among the rows (from 0), and why."""

    number: int
    ordinal: int
    reason: str


# The head goes first and comes last: a reader that finds it finds the files of this attempt.
_FILES = ("head.json", "manifest.json", "failed.json", "index.bin", "ids.bin", "trained.bin", "bad.jsonl", "totals.bin")


def forget(folder: Path) -> None:
    """Remove what an earlier attempt left. Readers that still map it keep their files: none is cut short."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


class StoreWriter:
    """Writes a store from its beginning. One writer at a time: the caller holds the lock."""

    def __init__(self, folder: Path, num_rows: int) -> None:
        """Args: num_rows: rows that the file has, as counted (an upper bound)."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        forget(folder)
        self._ids = (folder / "ids.bin").open("wb")
        self._trained = (folder / "trained.bin").open("wb")
        self._index = (folder / "index.bin").open("wb")
        self._bad = (folder / "bad.jsonl").open("w", encoding="utf-8")
        self._totals_file = (folder / "totals.bin").open("wb", buffering=0)
        self.totals = Totals()
        write_text(folder / "head.json", json.dumps({"version": VERSION, "num_rows": num_rows}))

    def append(self, rows: Sequence[tuple[int, int, EncodedRow]], bad: Sequence[BadRow], seen: int) -> None:
        """Append rows as (ordinal, number, row), and say how many rows of the file were seen by now."""
        if rows:
            self._add([(ordinal, number) for ordinal, number, _ in rows], [row for _, _, row in rows])
        self._set_aside(bad)
        self.totals.seen = seen
        self._write_totals()

    def finish(self) -> None:
        """Make it complete."""
        for file in (self._ids, self._trained, self._index, self._bad):
            file.flush()
            os.fsync(file.fileno())
        self.close()
        write_text(self._folder / "manifest.json", json.dumps({"version": VERSION, **vars(self.totals)}))

    def fail(self, error: UserError) -> None:
        """Leave word for readers that the file cannot be read to its end."""
        self.close()
        problems = [problem.as_dict() for problem in error.problems]
        text = json.dumps({"message": error.message, "hint": error.hint, "problems": problems})
        write_text(self._folder / "failed.json", text)

    def close(self) -> None:
        """Close the files; an unfinished store stays unfinished."""
        for file in (self._ids, self._trained, self._index, self._bad, self._totals_file):
            file.close()

    def _add(self, places: list[tuple[int, int]], rows: list[EncodedRow]) -> None:
        """All rows at once: a call for each of many short ones would cost as much as rendering them."""
        records = np.zeros(len(rows), dtype=RECORD)
        records["length"] = [len(row.ids) for row in rows]
        begins = np.cumsum(records["length"], dtype=np.int64) - records["length"]
        trained = np.concatenate([row.trained for row in rows]).astype(np.uint8)
        records["start"] = self.totals.tokens + begins
        # The first token of a row is predicted by nothing.
        records["trained"] = np.add.reduceat(trained, begins, dtype=np.int64) - trained[begins]
        records["ordinal"], records["number"] = zip(*places, strict=True)
        records["cut"] = [row.num_cut for row in rows]
        self._ids.write(np.concatenate([row.ids for row in rows]).astype("<i4", copy=False).tobytes())
        self._trained.write(trained.tobytes())
        self._ids.flush()
        self._trained.flush()
        self._index.write(records.tobytes())  # last: its length says how many rows can be read
        self._index.flush()
        self.totals.add(records)

    def _set_aside(self, bad: Sequence[BadRow]) -> None:
        for row in bad:
            if self.totals.bad < MAX_BAD_KEPT:
                self._bad.write(json.dumps([row.number, row.ordinal, row.reason]) + "\n")
            self.totals.bad += 1
        self._bad.flush()

    def _write_totals(self) -> None:
        self._totals_file.seek(0)
        self._totals_file.write(np.array(list(vars(self.totals).values()), dtype="<i8").tobytes())


class StoreReader:
    """Reads a store, complete or growing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.records: npt.NDArray[Any] = np.zeros(0, dtype=RECORD)
        self._ids: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._trained: npt.NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self.is_complete = False

    @property
    def num_rows(self) -> int:
        """Rows that the file has, as counted before tokenising; 0 while not known."""
        return int(_json(self._folder / "head.json").get("num_rows", 0))

    def refresh(self) -> None:
        """Take in what was written since.

        Raises:
            UserError: the writer found that the file cannot be read to its end.
        """
        if self.is_complete:
            return
        complete = (self._folder / "manifest.json").is_file()  # before the sizes: then they are final
        if failed := _json(self._folder / "failed.json"):
            problems = [Problem(**problem) for problem in failed["problems"]]
            raise UserError(failed["message"], failed["hint"], problems=problems)
        index = self._folder / "index.bin"
        count = index.stat().st_size // RECORD.itemsize if index.is_file() else 0
        if count > len(self.records):
            self._map(count)
        self.is_complete = complete

    def row(self, at: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_], int]:
        """Ids, trained flags and row number of record `at`."""
        record = self.records[at]
        start, stop = int(record["start"]), int(record["start"]) + int(record["length"])
        return self._ids[start:stop], self._trained[start:stop].view(np.bool_), int(record["number"])

    def totals(self) -> Totals:
        """Sums up to now."""
        try:
            values = np.fromfile(self._folder / "totals.bin", dtype="<i8", count=6)
        except OSError:
            return Totals()
        return Totals(*(int(value) for value in values)) if len(values) == 6 else Totals()

    def bad_rows(self) -> list[BadRow]:
        """The rows set aside so far, at most `MAX_BAD_KEPT`."""
        path = self._folder / "bad.jsonl"
        if not path.is_file():
            return []
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # the last one may be half-written
        return [BadRow(*json.loads(line)) for line in lines]

    def _map(self, count: int) -> None:
        self.records = np.memmap(self._folder / "index.bin", dtype=RECORD, mode="r", shape=(count,))
        tokens = int(self.records[-1]["start"]) + int(self.records[-1]["length"])
        self._ids = np.memmap(self._folder / "ids.bin", dtype="<i4", mode="r", shape=(tokens,))
        self._trained = np.memmap(self._folder / "trained.bin", dtype=np.uint8, mode="r", shape=(tokens,))


def _json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return value
