"""Steps whose memory was traced or measured rather than calculated: a small file in the cache folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from studio.paths import cache_dir, write_text

_KEPT = 200


def remembered_probes() -> dict[str, dict[str, int]]:
    """Key of a step -> bytes by kind."""
    try:
        known = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict) or not all(isinstance(memory, dict) for memory in known.values()):
        return {}
    return known


def remember_probe(key: str, memory: Mapping[str, int]) -> None:
    """Keep what was found of one step; the oldest of many are forgotten."""
    known = {name: value for name, value in remembered_probes().items() if name != key}
    known[key] = dict(memory)
    write_text(_path(), json.dumps(dict(list(known.items())[-_KEPT:]), indent=1))


def _path() -> Path:
    return cache_dir() / "probes-1.json"
