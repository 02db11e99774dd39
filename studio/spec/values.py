"""Changing settings by path: `train.steps=20`, as the command line's `--set` says it."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from studio.errors import Problem, UserError, nearest
from studio.spec.file import default_key, draft_values, parse_spec, section_type, unit_sections
from studio.spec.run_spec import RunSpec


def set_values(spec: RunSpec, assignments: Iterable[str]) -> RunSpec:
    """A new spec with `path=value` settings applied; values are read as YAML.

    Raises:
        UserError: listing every assignment that cannot be used.
    """
    return parse_spec(assign(draft_values(spec), assignments), where="--set")


def assign(values: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Plain values with `path=value` settings applied, not yet checked. A `key` goes first: it decides what may follow.

    Raises:
        UserError: an assignment is no `path=value`, or its section does not exist.
    """
    result = {name: dict(part) if isinstance(part, Mapping) else part for name, part in values.items()}
    pairs = [_split(text) for text in assignments]
    for path, text in sorted(pairs, key=lambda pair: pair[0][-1] != "key"):
        section, *rest = path
        if rest == ["key"] and section in unit_sections():
            result[section] = _with_key(section, result.get(section) or {}, text)
        else:
            _put(result.setdefault(section, {}), rest, text, section)
    return result


def _split(text: str) -> tuple[list[str], str]:
    path, equals, value = text.partition("=")
    parts = path.strip().split(".")
    if not equals or len(parts) < 2 or not all(parts):
        raise UserError(f'"{text}" is no setting.', 'Say it as path=value, for instance "train.steps=20".')
    if parts[0] not in RunSpec.model_fields or parts[0] == "version":
        known = [name for name in RunSpec.model_fields if name != "version"]
        problem = Problem(".".join(parts), f'There is no section "{parts[0]}".', nearest(parts[0], known))
        raise UserError("A setting cannot be used.", problems=[problem])
    return parts, value.strip()


def _with_key(section: str, old: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Change a section's unit; what the new one knows as well is kept, the rest has no meaning any more."""
    if key == (old.get("key") or default_key(section)):
        return dict(old)
    known = section_type(section, {"key": key}).model_fields
    return {"key": key, **{name: value for name, value in old.items() if name in known and name != "key"}}


def _put(target: dict[str, Any], path: list[str], text: str, section: str) -> None:
    for part in path[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise UserError(f'"{section}.{".".join(path)}" goes through a setting that holds no others.')
    target[path[-1]] = text if _is_text(section, target, path) else _parse(text)


def _parse(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _is_text(section: str, values: Mapping[str, Any], path: list[str]) -> bool:
    """Whether the setting is declared as text, so that `data.path=2024` stays a path."""
    try:
        field = section_type(section, values).model_fields.get(path[0])
    except UserError:
        return False
    annotation = field.annotation if field is not None else None
    if len(path) > 1:
        return typing.get_args(annotation)[-1:] == (str,)
    return annotation is str or typing.get_origin(annotation) is typing.Literal
