"""From a file and a format to rows of tokens: counted, checked, split, cached by content, and usable while growing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from studio.data import cache
from studio.data.encoding import EncodingSettings
from studio.data.masking import TrainOn
from studio.data.ordering import chosen
from studio.data.rows import SourceFacts
from studio.data.source import open_source
from studio.data.token_rows import HeldRows, StoredRows, TokenRow, TokenRows
from studio.data.token_store import BadRow, StoreReader, Totals, forget
from studio.data.tokenising import RowReader, Task, encode_rows, is_being_written, start_child, write_store
from studio.errors import Cancelled, Problem, UserError
from studio.models.tokenizer import ChatTokenizer

# Rows that are tokenised and checked before a run may start, and the unit in which rows are shuffled and packed.
WINDOW_ROWS = 65_536
# Below this a process of its own costs more than it spares.
_SMALL_ROWS = 20_000
_MAX_PROBLEMS = 20
_MOST_BY_SHARE = 5_000
_MOST_HELD_IN_MEMORY = 20_000


@dataclass(frozen=True)
class DataRequest:
    """What to train on. `holdout`: a share below 1, else a number of rows. `max_length` in tokens, 0 never cuts."""

    path: Path
    format: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    train_on: TrainOn = "answers"
    truncation: Literal["end", "start"] = "end"
    bad_rows: Literal["refuse", "skip"] = "refuse"
    max_length: int = 1024
    holdout: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class DataReport:
    """What became of the rows, up to now.

    Attributes:
        facts: the file.
        rows: rows of the file (counted before; empty lines may be among them while not complete).
        used, heldout: rows that became tokens, and how many of them are held out.
        num_bad, bad: rows set aside, and the first of them with their reasons.
        num_cut: rows that were longer than the longest row.
        tokens, trained_tokens: over the used rows.
        is_complete: False while a large file is still being tokenised.
        from_cache: nothing had to be tokenised.
    """

    facts: SourceFacts
    rows: int
    used: int
    heldout: int
    num_bad: int
    bad: tuple[BadRow, ...]
    num_cut: int
    tokens: int
    trained_tokens: int
    is_complete: bool
    from_cache: bool

    def summary(self) -> str:
        """What is learned from, in a sentence."""
        sofar = "" if self.is_complete else " so far; the rest is still being tokenised"
        return (
            f"{self.used:,} of {self.rows:,} rows are ready{sofar}, {self.heldout:,} of them held out: "
            f"{self.trained_tokens:,} of {self.tokens:,} tokens are learned."
        )

    def notes(self) -> list[tuple[str, str]]:
        """What a person should know before a run: sentences, each with a hint ("" where none is needed)."""
        notes = []
        if self.num_bad:
            first = self.bad[0]
            said = f"the first is {self.facts.unit} {first.number}, which {first.reason}"
            notes.append((f"{self.num_bad:,} of {self.rows:,} rows were set aside; {said}.", ""))
        if self.num_cut:
            hint = "Raise train.max_length to keep all of them; tunesmith data stats shows how long rows are."
            notes.append((f"{self.num_cut:,} of {self.used:,} rows are too long and were cut.", hint))
        return notes


class TrainingData:
    """Rows of tokens to train on and to measure on. Use as a context manager, or call `close`."""

    def __init__(
        self,
        request: DataRequest,
        facts: SourceFacts,
        folder: Path,
        child: subprocess.Popen[bytes] | None,
        *,
        from_cache: bool,
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Use `open_training_data`."""
        self._request = request
        self._facts = facts
        self._folder = folder
        self._child = child
        self._from_cache = from_cache
        self._is_cancelled = is_cancelled
        self._reader = StoreReader(folder)
        self._reader.refresh()
        self._mask: npt.NDArray[np.bool_] | None = None
        self.train: TokenRows = StoredRows(self, heldout=False)
        self.heldout: TokenRows = StoredRows(self, heldout=True)

    def __enter__(self) -> TrainingData:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def store(self) -> StoreReader:
        """The tokenised rows, in file order."""
        return self._reader

    @property
    def report(self) -> DataReport:
        """What became of the rows, up to now."""
        self._reader.refresh()
        totals = self._reader.totals()
        return DataReport(
            facts=self._facts,
            rows=totals.seen if self._reader.is_complete else max(self._reader.num_rows, totals.seen),
            used=totals.used,
            heldout=self.heldout.available(),
            num_bad=totals.bad,
            bad=tuple(self._reader.bad_rows()),
            num_cut=totals.cut,
            tokens=totals.tokens,
            trained_tokens=totals.trained,
            is_complete=self._reader.is_complete,
            from_cache=self._from_cache,
        )

    def heldout_mask(self) -> npt.NDArray[np.bool_]:
        """(rows of the file,) True where a row is held out: a pure function of the seed and the number of rows."""
        if self._mask is None:
            count = self._reader.num_rows
            self._mask = chosen(count, num_heldout(self._request.holdout, count), self._request.seed)
        return self._mask

    def expected(self, rows: StoredRows) -> int:
        """How many rows a split will have.

        Exact for a file of one window. For a larger one it is the share of the first window's rows that became
        rows of this split, times all rows: known before the rest is tokenised, and the same on every start.
        """
        self.wait(lambda: self._reader.totals().seen >= WINDOW_ROWS)
        if self._reader.num_rows <= WINDOW_ROWS:
            return rows.available()
        rows.available()
        return round(rows.count_before(WINDOW_ROWS) / WINDOW_ROWS * self._reader.num_rows)

    def hold(self, rows: HeldRows) -> None:
        """Measure on these rows, so that nobody has to wait for the ones at the end of a large file."""
        self.heldout = rows

    def wait(self, is_enough: Callable[[], bool], on_seen: Callable[[Totals], None] | None = None) -> None:
        """Wait until `is_enough`, or until there is no more to come.

        Raises:
            UserError: the file turned out to be damaged further on.
            Cancelled: the person asked to stop.
        """
        while True:
            self._reader.refresh()
            if on_seen:
                on_seen(self._reader.totals())
            if self._reader.is_complete or is_enough():
                return
            if self._is_cancelled():
                raise Cancelled
            self._check_writer()
            time.sleep(0.02)

    def close(self) -> None:
        """Stop tokenising, when that is still going on. What is complete stays cached."""
        if self._child is not None:
            assert self._child.stdin is not None
            self._child.stdin.close()
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._child = None

    def _check_writer(self) -> None:
        """Somebody must be writing; if nobody is, waiting would never end."""
        if (self._child is not None and self._child.poll() is None) or is_being_written(self._folder):
            return
        self._reader.refresh()
        if not self._reader.is_complete:
            code = self._child.returncode if self._child else None
            raise RuntimeError(f"tokenising stopped before it was done (exit code {code}); the log says why")


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


def num_heldout(holdout: float, rows: int) -> int:
    """How many rows are held out of `rows`.

    A share keeps at least one of two, never all, and at most 5,000: more measure no better and cost each evaluation.
    A number of rows is taken as it is.

    Raises:
        UserError: a number of rows that leaves none to train on.
    """
    if holdout == 0 or rows < 2:
        return 0
    if holdout < 1:
        return min(max(1, round(rows * holdout)), rows - 1, _MOST_BY_SHARE)
    if holdout >= rows:
        raise UserError(
            f"data.holdout keeps {holdout:,.0f} rows aside, but there are only {rows:,}.",
            f"Set data.holdout to less than {rows:,}, or to a share such as 0.05.",
        )
    return int(holdout)


def _start(
    task: Task, on_progress: Callable[[int, int], None], is_cancelled: Callable[[], bool]
) -> subprocess.Popen[bytes] | None:
    """Tokenise a small file at once, a large one in a child. None as well when another process is at it already."""
    if task.num_rows <= _SMALL_ROWS:
        write_store(task, on_rows=lambda seen: on_progress(seen, task.num_rows), is_cancelled=is_cancelled)
        return None
    child = None
    if not is_being_written(task.folder):
        forget(task.folder)
        child = start_child(task)
    while not (task.folder / "head.json").is_file():
        if child is not None and child.poll() is not None:
            break
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
            f'Mend them, or set data.bad_rows to "skip" to use the {totals.used:,} good rows.',
            problems=_problems(request.path, bad),
        )


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
