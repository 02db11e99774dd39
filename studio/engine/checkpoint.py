"""Checkpoints: folders that count only when their manifest, written last, verifies. Nothing half-made is ever seen."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from studio.errors import UserError
from studio.paths import fsync_dir, write_text

MANIFEST = "manifest.json"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: `checkpoints/` of the run.
        keep: how many of the newest stay; the best one stays besides.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder = folder
        self._keep = keep
        self._keeps_best = True

    def keep_newest_only(self) -> None:
        """For methods whose older checkpoints mean nothing once the next step has begun."""
        self._keep, self._keeps_best = 1, False

    def save(self, step: int, write: Callable[[Path], None], *, best_step: int | None = None) -> Path:
        """Have `write` fill a folder, then seal it and give it its name. What was there before stays until then."""
        target = self.folder / f"{step:08d}"
        part = self.folder / f".{step:08d}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            write(part)
            seal(part)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        shutil.rmtree(target, ignore_errors=True)
        os.replace(part, target)
        fsync_dir(self.folder)
        self._prune(best_step)
        return target

    def newest(self) -> Path | None:
        """The newest checkpoint that verifies; damaged ones are passed over."""
        for path in reversed(self._all()):
            if not damage(path):
                return path
        return None

    def _all(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if path.name.isdigit() and path.is_dir())

    def _prune(self, best_step: int | None) -> None:
        for path in self._all()[: -self._keep]:
            if int(path.name) != best_step or not self._keeps_best:
                (path / MANIFEST).unlink(missing_ok=True)  # first, so that a half-deleted one does not count
                shutil.rmtree(path, ignore_errors=True)


def seal(folder: Path) -> None:
    """Flush every file, then write the manifest of sizes and hashes."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest = _sha256(path, flush=True)
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": digest}
    write_text(folder / MANIFEST, json.dumps({"version": 1, "files": files}, indent=1))


def damage(folder: Path) -> str:
    """What is wrong with a sealed folder, "" when nothing is."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return "it has no readable manifest"
    for name, entry in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            return f"{name} is missing or cut off"
        if _sha256(path) != entry["sha256"]:
            return f"{name} has changed since it was written"
    return ""


def random_state() -> dict[str, Any]:
    """Every random state that training draws from, as tensors and plain values."""
    version, numbers, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": [version, list(numbers), gauss],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` took."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))


def save_tensors(value: Any, path: Path) -> None:
    """A torch file. Through Python's own file, because torch's writer forgets why the system refused a write."""
    with path.open("wb") as file:
        torch.save(value, file)


def load_tensors(path: Path) -> Any:
    """A torch file of tensors and plain values; anything else in it is refused."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path.name} of the checkpoint cannot be read: {error}") from error


def _sha256(path: Path, *, flush: bool = False) -> str:
    with path.open("rb") as file:
        if flush:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
