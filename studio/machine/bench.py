"""What was measured on this computer: its speeds, and what finished runs taught. A small file in the cache folder."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from studio.machine.resources import Resources
from studio.paths import cache_dir, write_text

_VERSION = 1
_KEPT = 40  # runs remembered; older ones were made by older programs


@dataclass(frozen=True)
class Speeds:
    """Rates a second.

    Attributes:
        matmul: "cpu" or "cuda" and the precision ("cuda bf16") -> floating-point operations in large products.
        memory: "cpu" or "cuda" -> bytes copied inside its memory.
        pcie: bytes from RAM to the card; 0 without one.
        disk_read, disk_write: bytes, each alone. `disk_both`: read and written together, in sum; 0 is not known.
    """

    matmul: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    pcie: float = 0.0
    disk_read: float = 0.0
    disk_write: float = 0.0
    disk_both: float = 0.0


@dataclass(frozen=True)
class Habits:
    """What finished runs taught: bytes that the libraries take beyond the calculated ones, and how pace compares.

    Attributes:
        extra_bytes: device kind -> bytes beyond what was calculated, the upper half of what was seen.
        pace: device kind -> measured seconds a step over calculated ones.
    """

    extra_bytes: dict[str, int] = field(default_factory=dict)
    pace: dict[str, float] = field(default_factory=dict)


def hardware(resources: Resources) -> str:
    """What makes measurements comparable."""
    return " | ".join([resources.cpu_name, f"{resources.cpu_cores} cores", *(gpu.name for gpu in resources.gpus)])


def remembered_speeds(resources: Resources) -> Speeds | None:
    """The speeds measured on this hardware, None when they never were."""
    found = _read(resources).get("speeds")
    try:
        return Speeds(**found) if isinstance(found, dict) else None
    except TypeError:
        return None  # written by another version


def remember_speeds(resources: Resources, speeds: Speeds) -> None:
    """Keep measured speeds."""
    _write(resources, {**_read(resources), "speeds": asdict(speeds)})


def remembered_habits(resources: Resources) -> Habits:
    """What finished runs on this hardware taught."""
    known = _read(resources)
    return Habits(
        extra_bytes={kind: int(value) for kind, value in _middles(known, "extra_bytes").items()},
        pace=_middles(known, "pace"),
    )


def remember_run(resources: Resources, device: str, *, extra_bytes: int, pace: float | None) -> None:
    """Keep what a finished run showed.

    Args:
        device: "cpu" or "cuda".
        extra_bytes: its measured peak less the calculated one without the libraries' own share.
        pace: its seconds a step over the calculated ones, None when those were not known.
    """
    known = _read(resources)
    entry = {"device": device, "extra_bytes": extra_bytes, **({"pace": pace} if pace else {})}
    _write(resources, {**known, "runs": [*_runs(known), entry][-_KEPT:]})


def _runs(known: dict[str, Any]) -> list[Any]:
    runs = known.get("runs")
    return runs if isinstance(runs, list) else []


def _middles(known: dict[str, Any], name: str) -> dict[str, float]:
    """Device -> the median of what its runs showed."""
    seen: dict[str, list[float]] = {}
    for entry in _runs(known):
        if isinstance(entry, dict) and isinstance(entry.get(name), int | float):
            seen.setdefault(str(entry.get("device")), []).append(float(entry[name]))
    return {device: statistics.median(values) for device, values in seen.items()}


def _read(resources: Resources) -> dict[str, Any]:
    try:
        known = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict) or known.get("version") != _VERSION:
        return {}
    return known if known.get("hardware") == hardware(resources) else {}


def _write(resources: Resources, known: dict[str, Any]) -> None:
    write_text(_path(), json.dumps({**known, "version": _VERSION, "hardware": hardware(resources)}, indent=1))


def _path() -> Path:
    return cache_dir() / "machine.json"
