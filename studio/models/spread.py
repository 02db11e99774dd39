"""A store whose units lie on several drives: where each lies, whose they are, and their end.

The list of folders is written beside the store before anything is put into them, so that those of a store that was
never finished are found as well; each says whose it is.
"""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

from studio.errors import UserError
from studio.models.store_layout import DESCRIPTION, Layout
from studio.paths import write_text

_LIST, _OWNER = "drives.json", "owner.txt"


def spread(layout: Layout, drives: list[Path]) -> Layout:
    """The layout with its units shared out evenly between its own folder and new ones on other drives."""
    name = f"tunesmith-{uuid.uuid4().hex}"
    filled = dict.fromkeys(["", *(str(drive / name) for drive in drives)], 0)
    units = []
    for unit in layout.units:
        place = min(filled, key=lambda each: filled[each])
        filled[place] += layout.slot_bytes(unit)
        units.append(replace(unit, folder=place))
    return replace(layout, units=tuple(units))


def begin_parts(folder: Path, layout: Layout) -> None:
    """Make the folders on other drives for a store in `folder`, which is there."""
    parts = [part for part in layout.folders if part]
    if parts:
        write_text(folder / _LIST, json.dumps(parts))
    for part in parts:
        Path(part).mkdir(parents=True)
        _sign(Path(part), folder)


def parts_of(folder: Path) -> list[Path]:
    """Folders on other drives that are there and belong to the store in `folder`."""
    return [part for part in _listed(folder) if _owner(part) == folder.resolve()]


def absent_parts(folder: Path) -> list[Path]:
    """Folders of the store in `folder` that are not there, most often because their drive is not connected."""
    return [part for part in _listed(folder) if not part.is_dir()]


def remove_parts(folder: Path) -> None:
    """Delete what the store in `folder` has on other drives.

    Raises:
        OSError: something cannot be deleted.
    """
    for part in parts_of(folder):
        shutil.rmtree(part)


def check_parts(folder: Path, layout: Layout) -> None:
    """See that all of a store is there and its own; one that was moved as a whole signs anew.

    Raises:
        UserError: a drive is missing, or the folder is a copy of a run that still has them.
    """
    for part in filter(None, layout.folders):
        owner = _owner(Path(part))
        if owner is None:
            raise UserError(
                f"Part of the streamed weights lies in {part}, which is not there.",
                "Connect that drive again, or start a new run.",
            )
        if owner != folder.resolve() and (owner / DESCRIPTION).is_file():
            raise UserError(
                f"The streamed weights in {part} belong to {owner.parent}; this run is a copy of it.",
                "Resume that run, or start a new one.",
            )
        _sign(Path(part), folder)


def _listed(folder: Path) -> list[Path]:
    try:
        return [Path(part) for part in json.loads((folder / _LIST).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []  # none, or damaged: each part still says whose it is


def _sign(part: Path, folder: Path) -> None:
    write_text(part / _OWNER, str(folder.resolve()))


def _owner(part: Path) -> Path | None:
    try:
        return Path((part / _OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
