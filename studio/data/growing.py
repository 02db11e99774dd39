"""Rows of tokens in use: the splits of a store, complete or still growing, and the waiting for what is to come."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from studio.data.data_report import DataReport
from studio.data.masking import TrainOn
from studio.data.ordering import chosen
from studio.data.rows import SourceFacts
from studio.data.token_rows import HeldRows, StoredRows, TokenRows
from studio.data.token_store import StoreReader, Totals
from studio.data.tokenising import is_being_written
from studio.errors import Cancelled, UserError

# Rows that are tokenised and checked before a run may start, and the unit in which rows are shuffled and packed.
WINDOW_ROWS = 65_536
_MOST_BY_SHARE = 5_000


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
