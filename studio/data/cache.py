"""Where tokenised rows are kept between runs: found by content, pruned by size, oldest first."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import filelock

from studio.data.encoding import EncodingSettings
from studio.data.text_files import said_of
from studio.errors import Cancelled
from studio.paths import cache_dir

# Raise it whenever the same row, format and tokenizer would give other tokens or another mask.
CODE_VERSION = 1
MAX_BYTES = 20_000_000_000


def entry(
    path: Path,
    format_identity: str,
    tokenizer_fingerprint: str,
    settings: EncodingSettings,
    is_cancelled: Callable[[], bool],
) -> Path:
    """The folder for these rows, tokenised in this way."""
    content = content_hash(path, is_cancelled)
    parts = [content, format_identity, tokenizer_fingerprint, asdict(settings), CODE_VERSION]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return tokens_dir() / key[:32]


def tokens_dir() -> Path:
    """The cache's folder."""
    folder = cache_dir() / "tokens"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def content_hash(path: Path, is_cancelled: Callable[[], bool] = lambda: False) -> str:
    """sha256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with said_of(path), path.open("rb") as file:
        while block := file.read(1 << 22):
            if is_cancelled():
                raise Cancelled
            digest.update(block)
    return digest.hexdigest()


def touch(folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Mark an entry as just used, and remove the oldest others while the cache is too large."""
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    entries = sorted(
        (item for item in folder.parent.iterdir() if item.is_dir()), key=lambda item: -item.stat().st_mtime
    )
    total = 0
    for item in entries:
        total += sum(file.stat().st_size for file in item.iterdir() if file.is_file())
        if total > max_bytes and item != folder:
            _remove(item)


def _remove(folder: Path) -> None:
    """Remove an entry that nobody is writing. A reader that maps it keeps its files until it ends (not on Windows,
    where the removal fails and is tried again another day)."""
    lock = folder.parent / f"{folder.name}.lock"
    try:
        with filelock.FileLock(lock, blocking=False):
            (folder / "manifest.json").unlink(missing_ok=True)  # first: half an entry must not look complete
            shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
    except (filelock.Timeout, OSError):
        return
