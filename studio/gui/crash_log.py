"""What is left of a window that died: each window has a file into which the interpreter writes where it stood.

No Qt here. A file of a window that ended well, or was killed without a word, is empty and goes away unseen.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
from pathlib import Path
from typing import TextIO

import psutil

from studio.paths import log_dir

_PREFIX, _SUFFIX = "window-", ".crash"


class CrashLog:
    """This window's file, from `begin` to `end`."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._file: TextIO | None = None

    def begin(self) -> None:
        """From now on a crash is written down; where no file can be made, to the terminal as before."""
        with contextlib.suppress(OSError):
            self._path = log_dir() / f"{_PREFIX}{os.getpid()}{_SUFFIX}"
            self._file = self._path.open("w", encoding="utf-8")
            faulthandler.enable(self._file)

    def end(self) -> None:
        """The window ends well."""
        if self._file is None or self._path is None:
            return
        faulthandler.enable()
        self._file.close()
        self._file = None
        with contextlib.suppress(OSError):
            self._path.unlink()


def take_crashes() -> str:
    """What windows that died left, the newest last; "" when all ended well. Each is told once."""
    found = []
    for path in _files():
        if psutil.pid_exists(_pid(path)):
            continue  # another window, open now
        with contextlib.suppress(OSError):
            found.append(path.read_text(encoding="utf-8", errors="replace").strip())
            path.unlink()
    return "\n\n".join(text for text in found if text)


def _files() -> list[Path]:
    try:
        return sorted(log_dir().glob(f"{_PREFIX}*{_SUFFIX}"), key=_age)
    except OSError:
        return []  # no folder can be made: nothing was left in it


def _pid(path: Path) -> int:
    number = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    return int(number) if number.isdigit() else -1


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
