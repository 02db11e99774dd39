"""From a file and a format to rows of tokens: counted, checked, split, and cached by content."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.data import cache
from studio.data.data_report import DataReport
from studio.data.encoding import EncodingSettings
from studio.data.growing import WINDOW_ROWS, DataRequest, TrainingData, num_heldout
from studio.data.source import open_source
from studio.data.token_rows import HeldRows, TokenRow
from studio.data.token_store import BadRow
from studio.data.tokenising import RowReader, Task, clear, encode_rows, is_being_written, start_child, write_store
from studio.errors import Problem, UserError
from studio.models.tokenizer import ChatTokenizer

__all__ = ["WINDOW_ROWS", "DataReport", "DataRequest", "TrainingData", "num_heldout", "open_training_data"]

# Below this a process of its own costs more than it spares.
_SMALL_ROWS = 20_000
_MAX_PROBLEMS = 20
_MOST_HELD_IN_MEMORY = 20_000


def open_training_data(
    request: DataRequest,
    fmt: RowReader,
    tokenizer: ChatTokenizer,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> TrainingData:
    """Rows of tokens from a file. Small files are tokenised when this returns, of large ones the first window is.

    Raises:
        UserError: the file cannot be used, or rows cannot and `bad_rows` is "refuse".
        Cancelled: `is_cancelled` said so.
    """
    on_progress = _throttled(on_progress)
    source = open_source(request.path)
    settings = EncodingSettings(request.train_on, request.truncation, request.max_length)
    folder = cache.entry(request.path, fmt.identity, tokenizer.fingerprint, settings, is_cancelled)
    complete = (folder / "manifest.json").is_file()
    task = Task(request.path, fmt, tokenizer, settings, folder, 0 if complete else source.count())
    child = None
    if not complete:
        child = _start(task, on_progress, is_cancelled)
    cache.touch(folder)
    data = TrainingData(request, source.facts, folder, child, from_cache=complete, is_cancelled=is_cancelled)
    try:
        first = min(WINDOW_ROWS, data.store.num_rows)
        data.wait(lambda: data.store.totals().seen >= first, lambda sums: on_progress(min(sums.seen, first), first))
        _check(data, request)
        if not data.store.is_complete and int(data.heldout_mask().sum()) <= _MOST_HELD_IN_MEMORY:
            data.hold(HeldRows(_heldout_rows(data, task, is_cancelled)))
    except BaseException:
        data.close()
        raise
    return data


def _heldout_rows(data: TrainingData, task: Task, is_cancelled: Callable[[], bool]) -> list[TokenRow]:
    """The held-out rows, tokenised here and now; the same rows as the store will have."""
    rows = open_source(task.path).chosen(data.heldout_mask())
    return [TokenRow(row.ids, row.trained, number) for number, row in encode_rows(task, rows, is_cancelled)]


def _start(
    task: Task, on_progress: Callable[[int, int], None], is_cancelled: Callable[[], bool]
) -> subprocess.Popen[bytes] | None:
    """Tokenise a small file at once, a large one in a child. None as well when another process is at it already."""
    if task.num_rows <= _SMALL_ROWS:
        write_store(task, on_rows=lambda seen: on_progress(seen, task.num_rows), is_cancelled=is_cancelled)
        return None
    child = start_child(task) if clear(task.folder) else None
    while not (task.folder / "head.json").is_file():
        if child is not None and child.poll() is not None and not is_being_written(task.folder):
            break  # it failed before it began; whoever waits for rows will see
        time.sleep(0.02)
    return child


def _check(data: TrainingData, request: DataRequest) -> None:
    """Refuse to start on unusable rows, as far as they were looked at before the start."""
    bad = [row for row in data.store.bad_rows() if row.ordinal < WINDOW_ROWS]
    totals = data.store.totals()
    if totals.used == 0 or data.train.available() == 0:
        raise UserError(f"No row of {request.path.name} can be used.", problems=_problems(request.path, bad))
    if bad and request.bad_rows == "refuse":
        count = f"{len(bad):,} of {min(totals.seen, WINDOW_ROWS):,} rows"
        more = f" The first {_MAX_PROBLEMS} are:" if len(bad) > _MAX_PROBLEMS else ""
        raise UserError(
            f"{count} of {request.path.name} cannot be used.{more}",
            f'Mend them, or set data.bad_rows to "skip" to use the {_good(totals.used)}.',
            problems=_problems(request.path, bad),
        )


def _good(count: int) -> str:
    return "one good row" if count == 1 else f"{count:,} good rows"


def _problems(path: Path, bad: list[BadRow]) -> list[Problem]:
    return [Problem(f"{path.name}:{row.number}", f"The row {row.reason}.") for row in bad[:_MAX_PROBLEMS]]


def _throttled(tell: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """At most ten words a second, and none that says what was said already."""
    last: list[Any] = [(-1, -1), 0.0]

    def told(done: int, total: int) -> None:
        now = time.monotonic()
        if (done, total) != last[0] and (done == total or now - last[1] > 0.1):
            last[:] = [(done, total), now]
            tell(done, total)

    return told
