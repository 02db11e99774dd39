"""A progress line on standard error for what takes longer than a second; nothing at all for what does not."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from studio.sizes import human_share

_QUIET_SECONDS = 1.0
_EVERY_SECONDS = 0.1


@contextlib.contextmanager
def progress(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function that takes (done, total); total 0 means not known. The line vanishes at the end."""
    line = _Line(what, unit)
    try:
        yield line
    finally:
        line.clear()


class _Line:
    def __init__(self, what: str, unit: str) -> None:
        self._what = what
        self._unit = unit
        self._begin = self._last = time.monotonic()
        self._width = 0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._begin < _QUIET_SECONDS or now - self._last < _EVERY_SECONDS or not sys.stderr.isatty():
            return
        self._last = now
        amount = f"{done:,} {self._unit}"
        if total:
            amount = f"{done:,} of {total:,} {self._unit}, {human_share(done / total, 0)}"
        text = f"{self._what} ... {amount}"
        self._write(text.ljust(self._width))
        self._width = len(text)

    def clear(self) -> None:
        if self._width:
            self._write(" " * self._width)
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{text}")
        sys.stderr.flush()
