"""Further drives of this computer for what streams, so that their speeds add up.

Which ones those are is the computer's matter and not a project's: a preference, handed to workers in the environment.
"""

from __future__ import annotations

import os
from pathlib import Path

from studio.errors import UserError
from studio.paths import nearest_existing

VARIABLE = "TUNESMITH_STREAM_FOLDERS"


def other_drives(folder: Path) -> list[Path]:
    """Named folders that are there, one on each drive but the one of `folder` (which need not exist yet)."""
    near = nearest_existing(folder)
    found = {near.stat().st_dev: near}
    for path in _named():
        if path.is_dir():
            found.setdefault(path.stat().st_dev, path)
    return list(found.values())[1:]


def idle_folders(folder: Path) -> list[str]:
    """A sentence for each named folder that a run in `folder` shares nothing out to."""
    near = nearest_existing(folder)
    used = {near.stat().st_dev: near}
    found = []
    for path in _named():
        if not path.is_dir():
            found.append(f"{path} is not there: no run that streams its training would start.")
        elif (first := used.setdefault(path.stat().st_dev, path)) != path:
            found.append(f"{path} is on the same drive as {first}: nothing is put there.")
    return found


def check_drives() -> None:
    """See that all named folders can be used.

    Raises:
        UserError: one is missing, or nothing can be written there.
    """
    for path in _named():
        if not (path.is_dir() and os.access(path, os.W_OK)):
            raise UserError(
                f"{path} is named as a folder on a further drive for streaming, but nothing can be written there.",
                f"Connect the drive, or take the folder out of Preferences or {VARIABLE}.",
            )


def _named() -> list[Path]:
    return [Path(name).expanduser() for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name.strip()]
