"""Reading a bundle's manifest, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from studio.errors import UserError
from studio.project.bundle_rules import FORMAT, VERSION, Entry, Manifest, Origin

# From version n to n + 1. Each gets an old sample in tests/data.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def parse_manifest(content: bytes) -> Manifest:
    """The manifest in a JSON document, brought up to this version.

    Raises:
        UserError: it is damaged, or a newer program's.
    """
    try:
        return _parse(_migrated(json.loads(content)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError("The file's manifest is damaged.", "Ask for it to be sent again.") from error


def _migrated(values: dict[str, Any]) -> dict[str, Any]:
    version = values["version"]
    if values.get("format") != FORMAT or not isinstance(version, int):
        raise ValueError("no manifest")
    if version > VERSION:
        raise UserError("The file was made by a newer Tunesmith.", "Update Tunesmith, then open it again.")
    while version < VERSION:
        values = MIGRATIONS[version](values)
        version += 1
    return values


def _parse(values: dict[str, Any]) -> Manifest:
    entries = tuple(Entry(str(one["path"]), int(one["bytes"]), str(one["sha256"])) for one in values["files"])
    return Manifest(
        project=_label(values["project"]),
        created=_label(values["created"]),
        program=_label(values["program"]),
        model=_origin(values["model"]),
        data=_origin(values["data"]),
        files=entries,
        runs=tuple(_label(name) for name in values["runs"]),
    )


def _origin(values: dict[str, Any]) -> Origin:
    return Origin(
        name=_label(values["name"]),
        fingerprint=_label(values["fingerprint"]),
        is_local=bool(values["is_local"]),
        is_included=bool(values["is_included"]),
    )


def _label(value: Any) -> str:
    """Text that will be shown: no control characters to play tricks on a terminal."""
    if not isinstance(value, str) or len(value) > 300 or not all(character.isprintable() for character in value):
        raise ValueError("not a label")
    return value
