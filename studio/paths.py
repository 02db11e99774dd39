"""Where the user's own files are, and the one way to write a file so that what exists is complete."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

APP = "tunesmith"


def _home(kind: str, default: str) -> Path:
    """`TUNESMITH_HOME` moves every folder of the user's own elsewhere.

    Where it cannot be made there is nothing to read, and who writes into it is told why.
    """
    root = os.environ.get("TUNESMITH_HOME")
    path = Path(root).expanduser() / kind if root else Path(default)
    with contextlib.suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
    return path


def config_dir() -> Path:
    """Settings and remembered facts about this machine."""
    return _home("config", platformdirs.user_config_dir(APP, appauthor=False))


def cache_dir() -> Path:
    """What can be made again: tokenised rows, wheels, measurements."""
    return _home("cache", platformdirs.user_cache_dir(APP, appauthor=False))


def log_dir() -> Path:
    """Logs and crash reports."""
    return _home("logs", platformdirs.user_log_dir(APP, appauthor=False))


def resources_dir() -> Path:
    """`resources/` beside the package: starter, fonts."""
    return Path(__file__).resolve().parent.parent / "resources"


def nearest_existing(folder: Path) -> Path:
    """The folder itself or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def fsync_dir(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut (a no-op where folders cannot be opened, as on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary file beside `target` that takes its name once the block ends well, and vanishes if it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        fsync_dir(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a small UTF-8 file atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
