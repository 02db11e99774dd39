"""Files of lines that only grow: reading whole lines while somebody writes, and finding where they end.

What a line means is `journal`'s matter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

_TAIL_BYTES = 1 << 20
_BITE_BYTES = 1 << 16


def read_lines(path: Path, offset: int = 0, limit_bytes: int = -1) -> tuple[list[bytes], int]:
    """Whole, non-empty lines from `offset` on, and the offset after the last of them. No file is no lines."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read(limit_bytes)
            if limit_bytes >= 0 and b"\n" not in block:  # a line longer than the limit: read it whole, or wait for it
                block += file.readline()
    except FileNotFoundError:
        return [], offset
    end = block.rfind(b"\n") + 1
    return [line for line in block[:end].split(b"\n") if line.strip()], offset + end


def each_line(path: Path, give_way: Callable[[], object] = lambda: None) -> Iterator[bytes]:
    """All whole, non-empty lines, a bite of the file at a time: a long one in one go would hold up all threads.

    Args:
        give_way: called between bites.
    """
    offset, lines, after = 0, *read_lines(path, 0, _BITE_BYTES)
    while after > offset:
        yield from lines
        give_way()
        offset = after
        lines, after = read_lines(path, offset, _BITE_BYTES)


def file_size(path: Path) -> int:
    """Bytes, 0 when there is no file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def is_torn(path: Path) -> bool:
    """Whether the last line has no end."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False


def tail(path: Path) -> bytes:
    """The end of a file, from the start of a line when it is longer than `_TAIL_BYTES`; a longer line is read whole."""
    size = file_size(path)
    length = min(size, _TAIL_BYTES)
    while True:
        if size == 0:
            return b""
        with path.open("rb") as file:
            file.seek(size - length)
            block = file.read(length)
        if length == size or b"\n" in block[:-1]:
            return block
        length = min(size, length * 4)
