"""The tokenising of one file into a store: in this process for small files, in a child for large ones.

Run as `python -m studio.data.tokenising`, it takes a pickled `Task` on its standard input and ends when that closes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import filelock

from studio.data.conversation import Example, RowError
from studio.data.encoding import EncodedRow, EncodingSettings, mask_batch, render_batch
from studio.data.rows import SourceRow
from studio.data.source import open_source
from studio.data.token_store import BadRow, StoreWriter, forget
from studio.errors import Cancelled, UserError
from studio.models.tokenizer import ChatTokenizer

_BATCH_ROWS = 512
_BATCH_CHARACTERS = 4_000_000


class RowReader(Protocol):
    """What turns a file's row into an example: a recognised format with its columns. Must pickle."""

    @property
    def identity(self) -> str:
        """Format and columns, as a part of the cache key."""
        ...

    def read(self, row: Mapping[str, Any]) -> Example:
        """Raises: RowError."""
        ...


@dataclass(frozen=True)
class Task:
    """All that tokenising a file needs."""

    path: Path
    reader: RowReader
    tokenizer: ChatTokenizer
    settings: EncodingSettings
    folder: Path
    num_rows: int


def lock_of(folder: Path, *, timeout_seconds: float) -> filelock.FileLock:
    """Held by whoever writes the store `folder`. A writer waits a little for it: others look whether it is taken."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folder.parent / f"{folder.name}.lock", timeout=timeout_seconds)


def write_store(task: Task, *, on_rows: Callable[[int], None], is_cancelled: Callable[[], bool]) -> bool:
    """Tokenise unless it is done; False when another process is at it.

    Raises:
        UserError, Cancelled: as `tokenise`.
    """
    try:
        with lock_of(task.folder, timeout_seconds=2):
            if not (task.folder / "manifest.json").is_file():
                tokenise(task, on_rows=on_rows, is_cancelled=is_cancelled)
    except filelock.Timeout:
        return False
    return True


def is_being_written(folder: Path) -> bool:
    """Whether some process holds the lock of a store."""
    try:
        with lock_of(folder, timeout_seconds=0):
            return False
    except filelock.Timeout:
        return True


def clear(folder: Path) -> bool:
    """Remove what an abandoned attempt left; False when some process is writing, and nothing was touched."""
    try:
        with lock_of(folder, timeout_seconds=0):
            if not (folder / "manifest.json").is_file():
                forget(folder)
            return True
    except filelock.Timeout:
        return False


def tokenise(task: Task, *, on_rows: Callable[[int], None], is_cancelled: Callable[[], bool]) -> None:
    """Write the store. The caller holds its lock.

    Raises:
        UserError: the file cannot be read to its end (readers of the store are told as well).
        Cancelled: `is_cancelled` said so; the store stays unfinished.
    """
    writer = StoreWriter(task.folder, task.num_rows)
    try:
        for batch in _encoded(task, is_cancelled):
            writer.append(*batch.wait(task), batch.seen)
            on_rows(batch.seen)
        writer.finish()
    except UserError as error:
        writer.fail(error)
        raise
    finally:
        writer.close()


def _encoded(task: Task, is_cancelled: Callable[[], bool]) -> Iterator[_Batch]:
    """Batches in order. While one is tokenised (outside the interpreter lock) the next one is read and rendered."""
    seen = 0
    waiting: _Batch | None = None
    with ThreadPoolExecutor(1, "tokenise") as pool:
        for rows in _batches(open_source(task.path).rows()):
            if is_cancelled():
                raise Cancelled
            batch = _Batch(task, rows, seen, pool)
            seen += len(rows)
            if seen > task.num_rows:
                raise UserError(f"{task.path.name} grew while it was read.", "Start again once it is complete.")
            if waiting is not None:
                yield waiting
            waiting = batch
        if waiting is not None:
            yield waiting


class _Batch:
    """Some rows of the file, being tokenised."""

    def __init__(self, task: Task, rows: list[SourceRow], first: int, pool: ThreadPoolExecutor) -> None:
        self._bad: list[BadRow] = []
        self._places: list[tuple[int, int]] = []
        examples: list[Example] = []
        for ordinal, row in enumerate(rows, first):
            try:
                examples.append(_read(task.reader, row))
                self._places.append((ordinal, row.number))
            except RowError as error:
                self._bad.append(BadRow(row.number, ordinal, str(error)))
        self.seen = first + len(rows)
        self._rendered = render_batch(examples, task.tokenizer, task.settings)
        self._encodings = pool.submit(task.tokenizer.encode_batch, self._rendered.texts)

    def wait(self, task: Task) -> tuple[list[tuple[int, int, EncodedRow]], list[BadRow]]:
        """Wait for the tokens: the good rows as (ordinal, number, row), and those to set aside, in order."""
        results = mask_batch(self._rendered, self._encodings.result(), task.tokenizer, task.settings)
        good, bad = [], list(self._bad)
        for (ordinal, number), result in zip(self._places, results, strict=True):
            if isinstance(result, RowError):
                bad.append(BadRow(number, ordinal, str(result)))
            else:
                good.append((ordinal, number, result))
        return good, sorted(bad, key=lambda row: row.ordinal)


def _read(reader: RowReader, row: SourceRow) -> Example:
    if row.value is None:
        raise RowError(row.problem)
    return reader.read(row.value)


def _batches(rows: Iterator[SourceRow]) -> Iterator[list[SourceRow]]:
    batch: list[SourceRow] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in (row.value or {}).values() if isinstance(value, str))
        if len(batch) >= _BATCH_ROWS or size > _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def encode_rows(
    task: Task, rows: Iterator[SourceRow], is_cancelled: Callable[[], bool]
) -> Iterator[tuple[int, EncodedRow]]:
    """Number and tokens of those of the rows that can be used, without a store.

    Raises:
        Cancelled: `is_cancelled` said so.
    """
    with ThreadPoolExecutor(1, "tokenise") as pool:
        for some in _batches(rows):
            if is_cancelled():
                raise Cancelled
            good, _ = _Batch(task, some, 0, pool).wait(task)
            yield from ((number, row) for _, number, row in good)


def start_child(task: Task) -> subprocess.Popen[bytes]:
    """Tokenise in a process of its own, so that rendering never holds the training thread up (the interpreter lock).

    It ends by itself when this process does: its standard input closes then.
    """
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    child = subprocess.Popen(
        [sys.executable, "-m", "studio.data.tokenising"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1", "TOKENIZERS_PARALLELISM": "true"},
    )
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died at once; whoever waits for it will see
        child.stdin.write(pickle.dumps(task))
        child.stdin.flush()
    return child


def main() -> int:
    """The child's whole life; 0 done or somebody else is at it, 2 the file is at fault (told through the store)."""
    # Our own parent wrote this pickle, on a pipe that nobody else holds.
    task: Task = pickle.load(sys.stdin.buffer)
    gone = threading.Event()
    threading.Thread(target=_watch_parent, args=(gone,), daemon=True).start()
    try:
        write_store(task, on_rows=lambda _: None, is_cancelled=gone.is_set)
    except Cancelled:
        return 0
    except UserError:
        return 2
    return 0


def _watch_parent(gone: threading.Event) -> None:
    # Not through sys.stdin: a thread that holds its lock while the interpreter ends is a fatal error.
    while os.read(0, 4096):
        pass
    gone.set()


if __name__ == "__main__":
    # Under its own name, so that the pickle's classes are the ones that everybody else uses.
    from studio.data.tokenising import main as _main

    sys.exit(_main())
