"""The lengths of a draft's rows, read from the file: all of a small one, an even sample of a large one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from studio.data.conversation import Example, RowError
from studio.data.encoding import EncodingSettings, encode_examples
from studio.data.rows import SourceRow
from studio.data.source import first_rows, open_source
from studio.data.statistics import PERCENTILES, percentile
from studio.errors import Cancelled
from studio.formats import Recognised, recognise
from studio.models.tokenizer import ChatTokenizer
from studio.planner.lengths import RowLengths
from studio.spec.run_spec import RunSpec

SAMPLE = 4000
_BATCH = 256
_BEYOND = 1.5
"""The longest row of a sample is not the longest of the file: so much longer a row is reckoned with."""


def read_lengths(spec: RunSpec, base: Path, *, is_cancelled: Callable[[], bool] = lambda: False) -> RowLengths | None:
    """Lengths in tokens of the rows that `spec` (absolute paths) names; None where no row can be used.

    Raises:
        UserError: the file, its format or the tokenizer cannot be used.
        Cancelled: `is_cancelled` said so.
    """
    source, data = open_source(Path(spec.data.path)), spec.data
    reader = recognise(first_rows(source), data.columns, data.format)
    tokenizer, settings = ChatTokenizer.load(base), EncodingSettings(data.train_on, data.truncation, 0)
    count = source.count()
    rows = source.rows() if count <= SAMPLE else source.chosen(_even(count))
    found: list[int] = []
    while batch := list(itertools.islice(rows, _BATCH)):
        if is_cancelled():
            raise Cancelled
        found += _lengths(batch, reader, tokenizer, settings)
    return _summed(np.array(found, dtype=np.int64), count) if found else None


def _even(count: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(count, dtype=np.bool_)
    mask[np.linspace(0, count - 1, SAMPLE).astype(np.int64)] = True
    return mask


def _lengths(
    batch: list[SourceRow], reader: Recognised, tokenizer: ChatTokenizer, settings: EncodingSettings
) -> list[int]:
    examples = [example for row in batch if (example := _read(row, reader)) is not None]
    encoded = encode_examples(examples, tokenizer, settings)
    return [len(row.ids) for row in encoded if not isinstance(row, RowError)]


def _read(row: SourceRow, reader: Recognised) -> Example | None:
    try:
        return reader.read(row.value) if row.value is not None else None
    except RowError:
        return None  # counted and listed where the rows are tokenised


def _summed(lengths: npt.NDArray[np.int64], count: int) -> RowLengths:
    percentiles = {percent: percentile(lengths, percent) for percent in PERCENTILES}
    if count > SAMPLE:
        percentiles[100] = int(_BEYOND * percentiles[100])
    return RowLengths.from_percentiles(count, float(lengths.mean()), percentiles)
