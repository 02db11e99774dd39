"""The models on this computer: the starter, folders of the person's own, the Hub's cache; their sizes, and deleting.

Only what came from the Hub can be deleted here: it can come back. A folder of the person's own is theirs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from studio.errors import UserError
from studio.models import hub_place
from studio.models.facts import ModelFacts, read_facts
from studio.models.source import STARTER, starter_model

_PREFIX = "models--"
_TRASH = ".deleting-"


@dataclass(frozen=True)
class ModelOnDisk:
    """One model.

    Attributes:
        source: what `model.source` calls it.
        title: its name for people.
        kind: where it is from.
        folder: what can be read as a model; for an unfinished download the cache's folder of it.
        size_bytes: what it takes on the disk.
        facts: None when it cannot be used.
        problem: why it cannot be used, with the way out; "" when it can.
    """

    source: str
    title: str
    kind: Literal["starter", "folder", "hub"]
    folder: Path
    size_bytes: int
    facts: ModelFacts | None
    problem: str = ""

    @property
    def is_partial(self) -> bool:
        """Whether it is a download that has not come to its end."""
        return self.kind == "hub" and self.folder.name.startswith(_PREFIX)


def models_on_disk(folders: Iterable[str] = ()) -> list[ModelOnDisk]:
    """Every model found: the starter, those in or under `folders`, those in the Hub's cache. Reads headers only."""
    return [*_starter(), *_in_folders(folders), *_in_cache()]


def delete_model(model: ModelOnDisk) -> int:
    """Delete a model that came from the Hub.

    Returns:
        Bytes that were freed.

    Raises:
        UserError: it did not come from the Hub, it is being downloaded, or the disk refuses.
    """
    root = repository_of(model)
    if root is None:
        raise UserError(f"{model.title} did not come from the Hub, so it is not deleted here.", "Delete its folder.")
    if _is_downloading(root):
        raise UserError(f"{model.title} is being downloaded.", "Pause the download first.")
    freed = folder_bytes(root)
    try:
        remove_folder(root)
    except OSError as error:
        raise UserError(f"{model.title} cannot be deleted: {error.strerror}.", f"Look at {root}.") from error
    return freed


def repository_of(model: ModelOnDisk) -> Path | None:
    """The one folder of the cache that holds a Hub model with all its versions; None for any other model."""
    root = hub_place.cache_dir() / f"{_PREFIX}{model.source.replace('/', '--')}"
    is_ours = model.kind == "hub" and root.parent == hub_place.cache_dir() and root.is_dir() and not root.is_symlink()
    return root if is_ours else None


def remove_folder(folder: Path) -> None:
    """Delete a folder. Renamed first: a deletion that is cut short leaves nothing half there that looks whole."""
    doomed = folder.with_name(f"{_TRASH}{folder.name}")
    os.replace(folder, doomed)
    shutil.rmtree(doomed)


def folder_bytes(folder: Path) -> int:
    """What a folder takes: each file once, links not followed, unreadable parts left out."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # it vanished while we looked
                continue
    return total


def _starter() -> Iterator[ModelOnDisk]:
    try:
        folder = starter_model()
    except UserError:
        return
    yield _model(STARTER, "Starter", "starter", folder)


def _in_folders(folders: Iterable[str]) -> Iterator[ModelOnDisk]:
    for text in folders:
        folder = Path(text).expanduser()
        for found in [folder] if _is_model(folder) else sorted(_children(folder)):
            if _is_model(found):
                yield _model(str(found), found.name, "folder", found)


def _in_cache() -> Iterator[ModelOnDisk]:
    for root in sorted(_children(hub_place.cache_dir()), key=lambda path: path.name.lower()):
        if root.name.startswith(_PREFIX) and not root.is_symlink():
            yield _cached(root)


def _cached(root: Path) -> ModelOnDisk:
    name = root.name.removeprefix(_PREFIX).replace("--", "/", 1)
    size = folder_bytes(root)
    snapshot = _newest_snapshot(root)
    if snapshot is None or any(root.glob("blobs/*.tunesmith.part")):
        return ModelOnDisk(name, name, "hub", root, size, None, "The download is not finished. Resume or delete it.")
    return _model(name, name, "hub", snapshot, size)


def _newest_snapshot(root: Path) -> Path | None:
    """The version that the main branch means, else the newest one."""
    main = root / "refs" / "main"
    try:
        named = root / "snapshots" / main.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        named = root / "snapshots" / "-"
    usable = [path for path in _children(root / "snapshots") if _is_model(path)]
    return named if named in usable else max(usable, key=lambda path: path.stat().st_mtime, default=None)


def _model(
    source: str, title: str, kind: Literal["starter", "folder", "hub"], folder: Path, size: int | None = None
) -> ModelOnDisk:
    size = folder_bytes(folder) if size is None else size
    try:
        return ModelOnDisk(source, title, kind, folder, size, read_facts(folder))
    except UserError as error:
        return ModelOnDisk(source, title, kind, folder, size, None, f"{error.message} {error.hint}".strip())
    except OSError as error:
        return ModelOnDisk(source, title, kind, folder, size, None, f"It cannot be read: {error.strerror}.")


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _children(folder: Path) -> list[Path]:
    """The folders in a folder; none when it cannot be looked into."""
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def _is_downloading(root: Path) -> bool:
    for path in root.glob("blobs/*.lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return True
    return False
