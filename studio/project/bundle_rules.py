"""What a `.tunesmith` file may hold: names, kinds of files, sizes. Writer and reader follow the same rules."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from studio.errors import UserError
from studio.project.names import RESERVED

FORMAT = "tunesmith"
VERSION = 1
MANIFEST = "manifest.json"
MAX_ENTRIES = 10_000
MAX_MANIFEST_BYTES = 8_000_000
MAX_NAME_LENGTH = 200
# Below this no ratio is dangerous; above it even the most repetitive rows compress less than this.
FREE_BYTES = 200_000_000
MAX_RATIO = 200

_PLACES = ("runs", "data")
_SUFFIXES = {
    ".yaml", ".json", ".jsonl", ".safetensors", ".txt", ".md", ".jinja", ".model", ".csv", ".tsv", ".parquet", ".arrow",
    ".feather",
}  # fmt: skip
_BARE_NAMES = {"LICENSE", "NOTICE", "USE_POLICY"}
_FORBIDDEN = set('\\:*?"<>|')


@dataclass(frozen=True)
class Entry:
    """One file of a bundle: path with forward slashes, size, sha256 (hex)."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Origin:
    """What a project was made with, which may not be inside: a model or a data file.

    Attributes:
        name: a Hub name, or the last part of a local path.
        fingerprint: "" when it was not known.
        is_local: a folder or file of the sender's computer, to be named anew on opening.
        is_included: whether it travels along.
    """

    name: str
    fingerprint: str = ""
    is_local: bool = False
    is_included: bool = False


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    project: str
    created: str
    program: str
    model: Origin
    data: Origin
    files: tuple[Entry, ...] = ()
    format: str = FORMAT
    version: int = VERSION
    runs: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def check_path(path: str) -> str:
    """`path`, if a bundle may hold it and every system can write it.

    Raises:
        UserError: it leads outside, is no portable name, or is of a kind that bundles do not carry.
    """
    parts = path.split("/")
    if len(path) > MAX_NAME_LENGTH or not all(_is_portable(part) for part in parts):
        raise UserError(
            f"The file holds an unsafe name: {path[:80]!r}.", "It was not made by Tunesmith; do not open it."
        )
    is_placed = path in (MANIFEST, "project.yaml") or (len(parts) > 1 and parts[0] in _PLACES)
    if not is_placed or not _is_kind_allowed(parts[-1]):
        raise UserError(
            f"The file holds something that does not belong there: {path[:80]!r}.", "Ask its sender for a clean one."
        )
    return path


def check_unique(paths: Iterable[str]) -> None:
    """No path twice, also where case or Unicode form do not count; none both file and folder.

    Raises:
        UserError: two of them clash.
    """
    seen: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        key = unicodedata.normalize("NFC", path).casefold()
        if key in seen:
            raise UserError(f"The file holds {path[:80]!r} twice.", "It was not made by Tunesmith; do not open it.")
        seen.add(key)
        folders |= {str(parent) for parent in PurePosixPath(key).parents if str(parent) != "."}
    if seen & folders:
        raise UserError(f"The file holds {min(seen & folders)[:80]!r} as file and as folder.", "Do not open it.")


def _is_portable(part: str) -> bool:
    is_plain = all(character.isprintable() and character not in _FORBIDDEN for character in part)
    is_named = part not in ("", ".", "..") and part[0] != " " and part[-1] not in " ."
    return is_plain and is_named and part.split(".")[0].strip().lower() not in RESERVED


def _is_kind_allowed(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _SUFFIXES or name in _BARE_NAMES
