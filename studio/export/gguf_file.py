"""Writes a GGUF file: metadata and the list of tensors first, then each tensor as it is made. One at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from studio.errors import Cancelled, UserError
from studio.export.target import Watch

SLACK = 64 << 20  # bytes to leave free on the volume


class Payload(Protocol):
    """A tensor's bytes, made when they are written."""

    nbytes: int

    def tofile(self, file: Any) -> None:
        """Write exactly `nbytes`."""


def write_direct(converter: Any, path: Path, watch: Watch) -> None:
    """Let the converter write its own type (F32, F16, BF16, Q8_0).

    Raises:
        Cancelled: the person asked; UserError: the disk is too small. The file at `path` is then not usable.
    """
    import torch  # heavy

    with torch.no_grad():
        prepare(converter)
        writer = converter.gguf_writer
        payloads = {name: info.tensor for name, info in writer.tensors[0].items()}
        with opened(writer, path):
            write_payloads(writer, payloads, watch)


def prepare(converter: Any) -> None:
    """Fill the converter's writer with lazy tensors and metadata."""
    converter.prepare_tensors()
    converter.prepare_metadata(vocab_only=False)


@contextmanager
def opened(writer: Any, path: Path) -> Iterator[None]:
    """Metadata and the list of tensors on disk, the file open behind them."""
    _check_room(path, sum(info.nbytes for info in writer.tensors[0].values()))
    try:
        writer.write_header_to_file(path=path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        yield
    finally:
        writer.close()


def write_payloads(writer: Any, payloads: dict[str, Payload], watch: Watch) -> None:
    """Write all tensors in the order of the list, freeing each."""
    file = writer.fout[0]
    total, done = sum(info.nbytes for info in writer.tensors[0].values()), 0
    writer.write_padding(file, file.tell())
    watch.on_tensors({name: info.nbytes for name, info in writer.tensors[0].items()})
    for name, info in writer.tensors[0].items():
        if watch.is_cancelled():
            raise Cancelled
        watch.on_progress(done, total, name)
        start = file.tell()
        payloads.pop(name).tofile(file)
        info.tensor = None
        assert file.tell() - start == info.nbytes, (name, file.tell() - start, info.nbytes)
        writer.write_padding(file, info.nbytes)
        done += info.nbytes
    watch.on_progress(total, total, "")


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed + SLACK > free:
        raise UserError(
            f"{path.parent} has {free / 1e9:.1f} GB free, the file needs {needed / 1e9:.1f} GB.",
            "Free some space, or choose a folder on another disk.",
        )
