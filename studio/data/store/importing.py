"""A file of any kind into Parquet parts, keyed by its content; each part can be read as soon as it is there."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from studio.data import cache
from studio.data.source import open_source
from studio.data.store.digest import RowDigest, digest
from studio.data.store.reading import FIRST_ORDER, RowStore
from studio.data.tokenising import RowReader, lock_of
from studio.errors import Cancelled, UserError
from studio.paths import atomic_path, cache_dir, write_text

# Raise it whenever the same file and format would give other rows here.
VERSION = 1
# The first rows can be looked at after a moment; later parts are as long as one query handles at once.
_FIRST_PART, _PART, _GROUP = 8_192, 65_536, 8_192
_LOOK_EVERY = 512

Progress = Callable[[int, int], None]


def store_folder(path: Path, reader: RowReader, is_cancelled: Callable[[], bool] = lambda: False) -> Path:
    """Where the rows of this file, read in this way, are kept. Reads the whole file for its content hash.

    Raises:
        UserError: it cannot be read.
        Cancelled: `is_cancelled` said so.
    """
    parts = [cache.content_hash(path, is_cancelled), reader.identity, path.suffix.lower(), VERSION]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return cache_dir() / "rows" / key[:32]


def import_rows(
    path: Path,
    reader: RowReader,
    folder: Path,
    *,
    on_progress: Progress = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Write the store `folder`, unless it is complete. Waits while another process writes it.

    A file that turns out to be damaged further on gives the rows before the damage, and the store says so.

    Raises:
        UserError: the file cannot be read at all.
        Cancelled: `is_cancelled` said so; what was written is written again next time.
    """
    with held(folder, is_cancelled):
        if not (folder / "manifest.json").is_file():
            _write(path, reader, folder, on_progress, is_cancelled)
    cache.touch(folder)


@contextlib.contextmanager
def held(folder: Path, is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock of a store, waiting for it as long as it takes.

    Raises:
        Cancelled: `is_cancelled` said so while another process held it.
    """
    lock = lock_of(folder, timeout_seconds=0.2)
    while not lock.is_locked:
        try:
            lock.acquire()
        except filelock.Timeout:
            if is_cancelled():
                raise Cancelled from None
    try:
        yield
    finally:
        lock.release()


def _write(
    path: Path, reader: RowReader, folder: Path, on_progress: Progress, is_cancelled: Callable[[], bool]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("part-*"):
        old.unlink()
    source = open_source(path)
    total = source.count() if source.facts.container in ("JSONL", "Parquet") else 0
    parts, damage = _Parts(folder), None
    try:
        for row in source.rows():
            parts.take(digest(row, reader))
            if parts.rows % _LOOK_EVERY == 0:
                on_progress(parts.rows, total)
                if is_cancelled():
                    raise Cancelled
    except UserError as error:
        damage = error
    parts.flush()
    if damage is not None and not parts.rows:
        raise damage
    on_progress(parts.rows, parts.rows)
    _keep_order(folder)
    _finish(folder, parts.rows, max(total, parts.rows), source.facts.unit, damage)


def _keep_order(folder: Path) -> None:
    store = RowStore(folder)
    with atomic_path(folder / FIRST_ORDER) as temporary:
        store.by_first().astype("<i4").tofile(temporary)
    store.close()


def _finish(folder: Path, rows: int, counted: int, unit: str, damage: UserError | None) -> None:
    told = None if damage is None else {"message": damage.message, "hint": damage.hint}
    facts: dict[str, Any] = {"version": VERSION, "rows": rows, "counted": counted, "unit": unit, "damage": told}
    write_text(folder / "manifest.json", json.dumps(facts))


class _Parts:
    """Gathers rows and writes them as `part-<first ordinal>.parquet`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[RowDigest] = []
        self._start = 0

    @property
    def rows(self) -> int:
        return self._start + len(self._held)

    def take(self, row: RowDigest) -> None:
        self._held.append(row)
        if len(self._held) >= (_PART if self._start else _FIRST_PART):
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if not self._held:
            return
        with atomic_path(self._folder / f"part-{self._start:010}.parquet") as temporary:
            _write_part(temporary, self._start, self._held)
        self._start += len(self._held)
        self._held = []


def _write_part(path: Path, start: int, rows: list[RowDigest]) -> None:
    import pyarrow as pa  # heavy
    import pyarrow.parquet as pq  # heavy

    columns = {
        "ordinal": pa.array(range(start, start + len(rows)), pa.int32()),
        "number": pa.array([row.number for row in rows], pa.int64()),
        "turns": pa.array([row.turns for row in rows], pa.int32()),
        "marks": pa.array([row.marks for row in rows], pa.int32()),
        "words": pa.array([row.words for row in rows], pa.int64()),
        "first": pa.array([row.first for row in rows], pa.string()),
        "search": pa.array([row.search for row in rows], pa.large_string()),
        "row": pa.array([row.row for row in rows], pa.large_string()),
    }
    # What a page shows is left unpacked, for a sorted view reads it from everywhere at once. So is what is searched:
    # unpacking would take as long as looking (a million rows take 93 MB more).
    packing = dict.fromkeys(columns, "none") | {"row": "zstd"}
    pq.write_table(
        pa.table(columns),
        path,
        row_group_size=_GROUP,
        compression=packing,
        use_dictionary=False,
        write_statistics=["ordinal"],
    )
