"""What the person sees: numbered steps with their time, one live line, and a table at the end. Plain ASCII."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_QUIET_SECONDS = 20.0  # a terminal log (CI) gets a sign of life this often; a real terminal twice a second


class Console:
    """Prints steps as `[3/8] Installing PyTorch 2.13.0 (CPU) ... 41 s`."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.total = total
        self.times: list[tuple[str, float, str]] = []
        self._is_live = self.stream.isatty()
        self._number = 0
        self._title = ""
        self._began = 0.0
        self._shown = 0.0
        self._is_inside = False
        self._has_spoken = False

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """One numbered step; its time is printed when the block ends well, `failed` when it does not."""
        self._number += 1
        self._title, self._began, self._is_inside = title, time.monotonic(), True
        self._shown, self._has_spoken = self._began, False
        self._write(f"[{self._number}/{self.total}] {title} ...", end="")
        step = Step()
        try:
            yield step
        except BaseException:
            self._finish("failed")
            raise
        self._finish(step.outcome)

    def live(self, text: str) -> None:
        """Show what the current step is busy with; thinned out so that a log stays readable."""
        now = time.monotonic()
        if now - self._shown < (0.5 if self._is_live else _QUIET_SECONDS):
            return
        self._shown = now
        head = f"[{self._number}/{self.total}] {self._title} ... {now - self._began:.0f} s"
        if self._is_live:
            width = max(20, shutil.get_terminal_size().columns - 1)
            self._write("\r" + f"{head} - {text}"[:width].ljust(width), end="")
        else:
            self._write(f"\n      {now - self._began:.0f} s: {text}", end="")
            self._has_spoken = True

    def say(self, text: str = "") -> None:
        """A line of its own, between steps or inside one."""
        self._write(("\n      " if self._is_inside else "") + text, end="" if self._is_inside else "\n")
        self._has_spoken = True

    def table(self) -> None:
        """Every step with its time."""
        self.say()
        for title, seconds, outcome in self.times:
            self.say(f"  {seconds:7.1f} s  {title}" + (f" ({outcome})" if outcome else ""))
        self.say(f"  {sum(seconds for _, seconds, _ in self.times):7.1f} s  in all")

    def _finish(self, outcome: str) -> None:
        seconds = time.monotonic() - self._began
        self.times.append((self._title, seconds, outcome))
        tail = f"{seconds:.1f} s" + (f" ({outcome})" if outcome else "")
        if self._is_live:
            width = max(20, shutil.get_terminal_size().columns - 1)
            self._write("\r" + f"[{self._number}/{self.total}] {self._title} ... {tail}".ljust(width))
        else:
            self._write(f"\n      {outcome or 'done'} after {seconds:.1f} s" if self._has_spoken else f" {tail}")
        self._is_inside = False

    def _write(self, text: str, end: str = "\n") -> None:
        self.stream.write(text + end)
        self.stream.flush()


class Step:
    """What a running step may still say about its end, such as `from the cache`."""

    def __init__(self) -> None:
        self.outcome = ""
