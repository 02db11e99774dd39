"""Specs as YAML: loading, saving, migrating, and telling a person what is wrong with one.

Whether a readable spec makes sense is `check`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from studio.declare import Settings
from studio.errors import Problem, UserError, nearest
from studio.methods import METHODS
from studio.objectives import OBJECTIVES
from studio.optimizers import OPTIMIZERS
from studio.paths import write_text
from studio.spec.run_spec import RunSpec
from studio.spec.sentences import problem_of
from studio.units import Registry

VERSION = 1
MAX_BYTES = 4_000_000

# From version n to n + 1. Each gets an old sample in tests/data.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

_UNITS: dict[str, Registry[Any]] = {"method": METHODS, "objective": OBJECTIVES, "optimizer": OPTIMIZERS}


def load_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        UserError: missing, unreadable, too large, no YAML (with the line), no mapping.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is too large for a settings file.", "Take the file that Tunesmith wrote.")
        value = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is not there.", 'Make a project with "tunesmith init".') from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}{_line_of(error)} is no valid YAML.", "Look for a missing quote or colon.") from error
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise UserError(f'{path} should hold settings like "train:", it holds something else.')
    return value


def load_spec(path: Path) -> RunSpec:
    """The spec in a YAML file.

    Raises:
        UserError: listing everything that cannot be read, each with its path.
    """
    return parse_spec(load_yaml(path), where=str(path))


def save_spec(path: Path, spec: RunSpec) -> None:
    """Write a draft atomically: everyday settings always, advanced ones where they differ from their default."""
    write_text(path, dump(draft_values(spec)))


def dump(value: Mapping[str, Any]) -> str:
    """YAML text, keys in the order they have."""
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=100)


def parse_spec(values: Mapping[str, Any], where: str = "") -> RunSpec:
    """A spec from plain values, migrated from an older version where needed.

    Raises:
        UserError: listing all problems.
    """
    migrated = migrate(dict(values), where=where)
    problems = problems_of(migrated)
    if problems:
        raise UserError(f"{where or 'The spec'} has settings that cannot be used.", problems=problems)
    return RunSpec.model_validate(migrated)


def migrate(values: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Bring an older version's values up to this one's.

    Raises:
        UserError: the file is a newer program's, or its version is no number.
    """
    version = values.get("version", VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version > VERSION:
        raise UserError(
            f"{where or 'The spec'} has version {version}; this program knows up to {VERSION}.", "Update Tunesmith."
        )
    if version < 1:
        raise UserError(f"{where or 'The spec'} has version {version}; the first was 1.", "Correct its first line.")
    while version < VERSION:
        values = MIGRATIONS[version](values)
        version += 1
    return {**values, "version": version}


def problems_of(values: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps plain values from being a spec: unknown names, wrong types, values out of bounds."""
    known = RunSpec.model_fields
    problems = [
        Problem(name, f'There is no section "{name}".', nearest(name, known)) for name in values if name not in known
    ]
    for name in known:
        if name == "version":
            continue
        problems += _section_problems(name, values.get(name, {}))
    return problems


def section_type(name: str, values: Any) -> type[Settings]:
    """The declaration behind a section, chosen by its `key` where the section has one.

    Raises:
        UserError: no unit has this key.
    """
    if name in _UNITS:
        return _UNITS[name].get(str(values.get("key") or default_key(name))).Params  # type: ignore[no-any-return]
    annotation = RunSpec.model_fields[name].annotation
    assert isinstance(annotation, type) and issubclass(annotation, Settings)
    return annotation


def default_key(section: str) -> str:
    """The key a section has when nothing is said."""
    return str(RunSpec.model_fields[section].get_default(call_default_factory=True).key)


def unit_sections() -> tuple[str, ...]:
    """The sections whose fields depend on their `key`."""
    return tuple(_UNITS)


def draft_values(spec: RunSpec) -> dict[str, Any]:
    """Plain values of a draft, without advanced settings that stand at their default."""
    values: dict[str, Any] = {"version": spec.version}
    for name in RunSpec.model_fields:
        section = getattr(spec, name)
        if isinstance(section, Settings):
            plain = section.model_dump(mode="json")
            fields = type(section).model_fields
            said = {key: plain[key] for key in plain if key == "key" or _is_worth_saying(fields[key], plain[key])}
            values.update({name: said} if said else {})
    return values


def _is_worth_saying(field: FieldInfo, value: Any) -> bool:
    extra = field.json_schema_extra
    is_advanced = isinstance(extra, dict) and bool(extra.get("advanced"))
    return not is_advanced or value != field.get_default(call_default_factory=True)


def _section_problems(name: str, values: Any) -> list[Problem]:
    if isinstance(values, Settings):
        return []
    if not isinstance(values, dict):
        return [Problem(name, f'"{name}" should hold settings, it holds a {type(values).__name__}.')]
    try:
        declared = section_type(name, values)
    except UserError as error:
        return [Problem(f"{name}.key", error.message, error.hint)]
    try:
        declared.model_validate(values)
    except ValidationError as error:
        return [problem_of(detail, name, declared) for detail in error.errors(include_url=False, include_context=True)]
    return []


def _line_of(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}," if mark is not None else ""
