"""Figures of a data set: lengths, what would be cut, duplicates, how much of it is learned."""

from __future__ import annotations

import hashlib
import itertools
import re
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.data.conversation import Example, RowError
from studio.data.encoding import EncodingSettings, encode_examples
from studio.data.rows import SourceRow
from studio.data.source import open_source
from studio.data.tokenising import RowReader
from studio.errors import Cancelled
from studio.models.tokenizer import ChatTokenizer

PERCENTILES = (1, 10, 50, 90, 99, 100)
LIMITS = (256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768)
_BATCH = 512
_BINS = 20


@dataclass(frozen=True)
class Statistics:
    """Figures over the rows that can be used.

    Attributes:
        unit: what lengths count: "tokens" with a model, else "characters".
        rows, bad: rows of the file, and how many of them cannot be used.
        reasons: why -> rows, the most frequent first.
        duplicates: rows that repeat an earlier one exactly.
        total, trained: sum of lengths; tokens that are learned (0 without a model).
        percentiles: percent -> length.
        histogram: (from, to, rows) as `histogram` gives it.
        beyond: length -> share of rows that are longer.
    """

    unit: str
    rows: int
    bad: int
    reasons: dict[str, int]
    duplicates: int
    total: int
    trained: int
    percentiles: dict[int, int]
    histogram: list[tuple[int, int, int]]
    beyond: dict[int, float]


def measure(
    path: Path,
    reader: RowReader,
    tokenizer: ChatTokenizer | None = None,
    settings: EncodingSettings | None = None,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Statistics:
    """Go through the whole file; lengths are those of uncut rows.

    Raises:
        UserError: the file cannot be read to its end.
        Cancelled: `is_cancelled` said so.
    """
    source = open_source(path)
    count, tally = source.count(), _Tally(reader, tokenizer, replace(settings or EncodingSettings(), max_length=0))
    rows = iter(source.rows())
    while batch := list(itertools.islice(rows, _BATCH)):
        if is_cancelled():
            raise Cancelled
        tally.take(batch)
        on_progress(tally.rows, count)
    return tally.summed()


class _Tally:
    """Running figures; a row leaves some twenty bytes behind."""

    def __init__(self, reader: RowReader, tokenizer: ChatTokenizer | None, settings: EncodingSettings) -> None:
        self._reader = reader
        self._tokenizer = tokenizer
        self._settings = settings
        self.rows = 0
        self._reasons: Counter[str] = Counter()
        self._lengths = array("q")
        self._hashes = array("q")
        self._trained = 0

    def take(self, batch: list[SourceRow]) -> None:
        """Take in some rows."""
        self.rows += len(batch)
        examples = [example for row in batch if (example := self._read(row)) is not None]
        self._hashes.extend(_hash(example) for example in examples)
        if self._tokenizer is None:
            self._lengths.extend(_characters(example) for example in examples)
            return
        for row in encode_examples(examples, self._tokenizer, self._settings):
            if isinstance(row, RowError):
                self._reasons[_kind(row)] += 1
            else:
                self._lengths.append(len(row.ids))
                self._trained += row.num_trained

    def summed(self) -> Statistics:
        """The figures."""
        lengths = np.array(self._lengths, dtype=np.int64)
        return Statistics(
            unit="tokens" if self._tokenizer else "characters",
            rows=self.rows,
            bad=self._reasons.total(),
            reasons=dict(self._reasons.most_common(20)),
            duplicates=len(self._hashes) - len(np.unique(np.array(self._hashes, dtype=np.int64))),
            total=int(lengths.sum()),
            trained=self._trained,
            percentiles={percent: percentile(lengths, percent) for percent in PERCENTILES},
            histogram=histogram(lengths),
            beyond={limit: float((lengths > limit).mean()) for limit in LIMITS if (lengths > limit).any()},
        )

    def _read(self, row: SourceRow) -> Example | None:
        try:
            if row.value is None:
                raise RowError(row.problem)
            return self._reader.read(row.value)
        except RowError as error:
            self._reasons[_kind(error)] += 1
            return None


def percentile(lengths: npt.NDArray[np.int64], percent: int) -> int:
    """The length that `percent` of the rows do not exceed; 0 of no rows."""
    return int(np.percentile(lengths, percent, method="inverted_cdf")) if len(lengths) else 0


def histogram(lengths: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """(from, to, rows) in equal steps from the shortest to the 99th percentile; the last bin holds all beyond."""
    if not len(lengths):
        return []
    low, top = int(lengths.min()), percentile(lengths, 99) + 1
    step = max(1, -(-(top - low) // _BINS))
    counts = np.bincount(np.minimum((lengths - low) // step, -(-(top - low) // step)))
    ends = [low + (at + 1) * step for at in range(len(counts))]
    ends[-1] = max(ends[-1], int(lengths.max()) + 1)
    return [(low + at * step, ends[at], int(count)) for at, count in enumerate(counts)]


def _characters(example: Example) -> int:
    return len(example.text) + sum(len(message.content) for message in example.messages)


def _hash(example: Example) -> int:
    digest = hashlib.blake2b(repr(example).encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _kind(error: RowError) -> str:
    """The reason without what differs from row to row, so that like is counted with like."""
    return re.sub(r"\d[\d,.]*", "N", str(error))[:120]
