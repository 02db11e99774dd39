"""Which projects were opened lately on this computer. A list of folders in the settings folder, newest first."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from studio.paths import config_dir, write_text

_KEPT = 100


@dataclass(frozen=True)
class Recent:
    """A project that was opened. `opened` is in Unix seconds."""

    folder: Path
    opened: float

    @property
    def is_there(self) -> bool:
        """Whether it still is a project."""
        return (self.folder / "project.yaml").is_file()


def recent_projects() -> list[Recent]:
    """Newest first; a list that cannot be read is an empty one."""
    try:
        entries = json.loads(_path().read_text(encoding="utf-8"))
        return [Recent(Path(str(entry["folder"])), float(entry["opened"])) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def remember_project(folder: Path) -> None:
    """Put a project at the top of the list."""
    folder = folder.resolve()
    others = [recent for recent in recent_projects() if recent.folder != folder]
    _save([Recent(folder, time.time()), *others])


def forget_project(folder: Path) -> None:
    """Take a project off the list; nothing else is touched."""
    _save([recent for recent in recent_projects() if recent.folder != folder])


def _save(recents: list[Recent]) -> None:
    entries = [{"folder": str(recent.folder), "opened": recent.opened} for recent in recents[:_KEPT]]
    with contextlib.suppress(OSError):  # a full disk must not keep a project from being opened
        write_text(_path(), json.dumps(entries, indent=1))


def _path() -> Path:
    return config_dir() / "recent.json"
