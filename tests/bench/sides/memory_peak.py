"""The peak of a process's anonymous memory, watched from a thread of its own. Only the standard library."""

from __future__ import annotations

import threading
from pathlib import Path


class Peak:
    """Watches while it is entered; `bytes` is the most that was seen."""

    def __init__(self) -> None:
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            self.bytes = max(self.bytes, anonymous())


def anonymous() -> int:
    """Bytes of memory that no file stands behind."""
    return _status("RssAnon")


def most_resident() -> int:
    """Bytes of the largest resident size so far; getrusage would count what the starting process had taken."""
    return _status("VmHWM")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"this system does not tell {name}")
