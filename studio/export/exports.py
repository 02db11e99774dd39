"""What was exported so far: the files and folders of an exports folder, each with the report of its check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.export.verify import FAILED_MARK


@dataclass(frozen=True)
class Exported:
    """A file or folder that an export made.

    Attributes:
        path: where it is.
        num_bytes: its size.
        changed: Unix seconds.
        report: figures of its check by the names of `verify.Report`, None where it was not checked.
    """

    path: Path
    num_bytes: int
    changed: float
    report: dict[str, Any] | None = None

    @property
    def has_failed(self) -> bool:
        """Whether its check failed."""
        return self.path.name.endswith(FAILED_MARK) or bool(self.report and not self.report.get("passed"))

    @property
    def can_chat(self) -> bool:
        """Whether it is a file to talk to by itself, whatever its check said."""
        name = self.path.name.removesuffix(FAILED_MARK).removesuffix(".gguf")
        return self.path.suffix == ".gguf" and not name.endswith("-adapter")


def list_exports(folder: Path) -> list[Exported]:
    """The newest first; what cannot be read is left out."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            if _is_export(path):
                found.append(_exported(path))
        except OSError:
            continue  # it went away, or may not be read
    return sorted(found, key=lambda exported: -exported.changed)


def _is_export(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return path.suffix == ".gguf" if path.is_file() else any(path.glob("*.safetensors"))


def _exported(path: Path) -> Exported:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return Exported(path, size, path.stat().st_mtime, _report(path))


def _report(path: Path) -> dict[str, Any] | None:
    try:
        report = json.loads(path.with_name(f"{path.stem}.report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None
