"""Frozen bases laid out for streaming: where they lie, what they take, and deleting. They can always be made again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from studio.errors import UserError
from studio.models.on_disk import folder_bytes, remove_folder
from studio.models.store_layout import DESCRIPTION
from studio.paths import cache_dir, write_text

_ABOUT = "about.json"


@dataclass(frozen=True)
class StreamedCopy:
    """One base, laid out in one way.

    Attributes:
        name: of the base, as the run that made it called it.
        kind: "16-bit", "fp32" or "4-bit".
        size_bytes: what it takes on the drive.
    """

    folder: Path
    name: str
    kind: str
    size_bytes: int


def copies_dir() -> Path:
    """Where they all lie."""
    return cache_dir() / "shards"


def sign(folder: Path, name: str) -> None:
    """Leave the base's name in a copy, for the person who wonders what takes so much room."""
    write_text(folder / _ABOUT, json.dumps({"name": name}))


def streamed_copies() -> list[StreamedCopy]:
    """All complete ones."""
    if not copies_dir().is_dir():
        return []
    folders = sorted(path for path in copies_dir().iterdir() if (path / DESCRIPTION).is_file())
    return sorted((_copy(folder) for folder in folders), key=lambda copy: (copy.name.lower(), copy.kind))


def delete_copy(copy: StreamedCopy) -> int:
    """Delete one; the bytes that were freed.

    Raises:
        UserError: the system refuses (on Windows, while a run reads it).
    """
    try:
        remove_folder(copy.folder)
    except OSError as error:
        raise UserError(
            f"The streamed copy of {copy.name} cannot be deleted: {error.strerror}.",
            "Stop the run that reads it, then try again.",
        ) from error
    return copy.size_bytes


def _copy(folder: Path) -> StreamedCopy:
    try:
        name = str(json.loads((folder / _ABOUT).read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        name = "A model"  # made by an earlier version, or damaged: it can be deleted all the same
    scheme = folder.name.partition("-")[2]
    kind = "4-bit" if "nf4" in scheme else "fp32" if scheme.endswith("exact") else "16-bit"
    return StreamedCopy(folder, name, kind, folder_bytes(folder))
