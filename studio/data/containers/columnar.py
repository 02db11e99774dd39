"""Parquet and Arrow (IPC file and stream, which Feather and `datasets` write), read by batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from studio.data.rows import ChosenByReading, SourceFacts, SourceRow
from studio.errors import UserError

_BATCH_ROWS = 1024


class Columnar(ChosenByReading):
    """Reads a columnar file batch by batch. Damage is a whole-file error that says how many rows are fine."""

    def __init__(self, path: Path, container: str, batches: Callable[[Path], Iterator[Any]]) -> None:
        self._path = path
        self._batches = batches
        self.facts = SourceFacts(path, container, "row")

    def rows(self) -> Iterator[SourceRow]:
        import pyarrow  # heavy

        number = 0
        try:
            for batch in self._batches(self._path):
                for value in batch.to_pylist():
                    number += 1
                    yield SourceRow(number, value)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise damaged(self._path, self.facts.container, number, error) from error

    def count(self) -> int:
        if self.facts.container == "Parquet":
            return parquet_rows(self._path)
        return sum(1 for _ in self.rows())


def parquet(path: Path) -> Columnar:
    """A Parquet file."""
    return Columnar(path, "Parquet", _parquet_batches)


def arrow(path: Path, *, is_stream: bool) -> Columnar:
    """An Arrow IPC file or stream."""
    return Columnar(path, "Arrow", _stream_batches if is_stream else _file_batches)


def parquet_rows(path: Path) -> int:
    """Rows, from the footer alone."""
    import pyarrow  # heavy
    import pyarrow.parquet  # heavy

    try:
        return int(pyarrow.parquet.read_metadata(path).num_rows)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise damaged(path, "Parquet", 0, error) from error


def damaged(path: Path, container: str, good: int, error: Exception) -> UserError:
    """The whole-file error of a columnar file."""
    fine = f" The first {good:,} rows are fine." if good else ""
    said = str(error).split("\n")[0][:160]
    return UserError(
        f"{path.name} is cut off or damaged; it cannot be read as {container} ({said}).{fine}",
        "Write or download the file again.",
    )


def _parquet_batches(path: Path) -> Iterator[Any]:
    import pyarrow.parquet  # heavy

    with pyarrow.parquet.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=_BATCH_ROWS)


def _file_batches(path: Path) -> Iterator[Any]:
    import pyarrow  # heavy

    with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_file(source) as reader:
        for at in range(reader.num_record_batches):
            yield from _slices(reader.get_batch(at))


def _stream_batches(path: Path) -> Iterator[Any]:
    import pyarrow  # heavy

    with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as reader:
        for batch in reader:
            yield from _slices(batch)


def _slices(batch: Any) -> Iterator[Any]:
    """A record batch may be the whole file; as Python objects it would not fit."""
    for start in range(0, batch.num_rows, _BATCH_ROWS):
        yield batch.slice(start, _BATCH_ROWS)
