"""How many tokens each row has: counted once per tokenizer, beside the rows, readable while it is still counted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from studio.data import cache
from studio.data.conversation import Example, RowError
from studio.data.encoding import EncodedRow, EncodingSettings, encode_examples
from studio.data.store.importing import Progress, held
from studio.data.store.reading import RowStore
from studio.data.tokenising import RowReader
from studio.errors import Cancelled
from studio.models.tokenizer import ChatTokenizer

# Uncut length, how many tokens are learned, and where the first of these is; -1 in all three for a row set aside.
RECORD = np.dtype([("length", "<i4"), ("trained", "<i4"), ("first", "<i4")])
_UNUSABLE = (-1, -1, -1)
_BATCH = 512

Lengths = npt.NDArray[Any]


def lengths_path(folder: Path, tokenizer: ChatTokenizer, train_on: str) -> Path:
    """Where the lengths of a store's rows are kept for this tokenizer."""
    parts = json.dumps([tokenizer.fingerprint, train_on, cache.CODE_VERSION])
    return folder / f"lengths-{hashlib.sha256(parts.encode()).hexdigest()[:16]}.bin"


def count_lengths(
    store: RowStore,
    reader: RowReader,
    tokenizer: ChatTokenizer,
    settings: EncodingSettings,
    *,
    on_progress: Progress = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Count all rows of a complete store; goes on where an earlier attempt was interrupted.

    Raises:
        Cancelled: `is_cancelled` said so; what was counted stays.
    """
    path = lengths_path(store.folder, tokenizer, settings.train_on)
    plain = EncodingSettings(settings.train_on, settings.truncation, 0)
    with held(store.folder, is_cancelled), path.open("ab") as file:
        done = file.tell() // RECORD.itemsize
        file.truncate(done * RECORD.itemsize)
        for start in range(done, store.num_rows, _BATCH):
            if is_cancelled():
                raise Cancelled
            stop = min(start + _BATCH, store.num_rows)
            file.write(_counted(store, range(start, stop), reader, tokenizer, plain).tobytes())
            file.flush()
            on_progress(stop, store.num_rows)


def read_lengths(path: Path) -> Lengths:
    """(rows counted so far,) records."""
    try:
        size = path.stat().st_size // RECORD.itemsize
        return np.fromfile(path, dtype=RECORD, count=size)
    except FileNotFoundError:
        return np.zeros(0, RECORD)


def _counted(
    store: RowStore, ordinals: range, reader: RowReader, tokenizer: ChatTokenizer, settings: EncodingSettings
) -> Lengths:
    records = np.full(len(ordinals), np.array(_UNUSABLE, dtype=RECORD), dtype=RECORD)
    examples: dict[int, Example] = {}
    for ordinal, row in store.rows(ordinals).items():
        try:
            examples[ordinal] = reader.read(row)
        except RowError:
            continue  # set aside by the import already, with its reason
    places, results = list(examples), encode_examples(list(examples.values()), tokenizer, settings)
    for ordinal, result in zip(places, results, strict=True):
        if isinstance(result, EncodedRow):
            records[ordinal - ordinals.start] = (len(result.ids), result.num_trained, _first_trained(result))
    return records


def _first_trained(row: EncodedRow) -> int:
    """The first token that counts; the very first of a row is predicted by nothing."""
    return int(np.argmax(row.trained[1:])) + 1


def bins(lengths: npt.NDArray[np.int32], top: int, count: int) -> npt.NDArray[np.int64]:
    """(count,) rows by length in equal steps from 0 to `top`; the last bin holds all beyond."""
    at = np.minimum(lengths.astype(np.int64) * count // max(1, top), count - 1)
    return np.bincount(at, minlength=count)
