"""Where the window was and what it showed, kept between starts."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from studio.paths import config_dir, write_text


@dataclass(frozen=True)
class WindowState:
    """What is restored. `geometry` is Qt's own form, in base 64."""

    geometry: str = ""
    page: str = "home"
    project: str = ""

    def geometry_bytes(self) -> bytes:
        """Qt's form; empty when there is none or it is damaged."""
        try:
            return base64.b64decode(self.geometry, validate=True)
        except (binascii.Error, ValueError):
            return b""


def load_state() -> WindowState:
    """What was kept; the default when there is nothing that can be read."""
    try:
        values = json.loads(_path().read_text(encoding="utf-8"))
        return WindowState(**{key: str(values[key]) for key in ("geometry", "page", "project") if key in values})
    except (OSError, ValueError, TypeError, AttributeError):
        return WindowState()


def save_state(geometry: bytes, page: str, project: Path | None) -> None:
    """Keep it."""
    state = WindowState(base64.b64encode(geometry).decode(), page, str(project or ""))
    write_text(_path(), json.dumps(asdict(state)))


def _path() -> Path:
    return config_dir() / "window.json"
