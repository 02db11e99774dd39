"""A declared setting described for whoever draws it: what kind of value it takes, its bounds, its words. No widgets."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo

from studio.declare import Settings

Kind = Literal["switch", "choice", "whole", "decimal", "text", "list", "table"]
_KINDS: dict[Any, Kind] = {bool: "switch", int: "whole", float: "decimal", str: "text", list: "list", dict: "table"}


@dataclass(frozen=True)
class FieldFacts:
    """One setting.

    Attributes:
        path: "section.name", as `--set` says it; the bare name when there is no section.
        title, help, unit: for people.
        kind: what kind of value it takes.
        choices: for "choice".
        low, high: the least and most it may be, None where there is no bound.
        excludes_low, excludes_high: whether the bound itself is not allowed.
        is_optional: whether it may be left open (None).
        is_advanced: folded away.
        default: its value when nothing is said; None when it must be said.
    """

    path: str
    title: str
    help: str
    unit: str
    kind: Kind
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    excludes_low: bool
    excludes_high: bool
    is_optional: bool
    is_advanced: bool
    default: Any

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


def describe(declared: type[Settings], section: str = "") -> tuple[FieldFacts, ...]:
    """All settings of a declaration in its order, without `key` and other values that only one thing can be."""
    found = (_describe(name, field, section) for name, field in declared.model_fields.items())
    return tuple(field for field in found if field.name != "key" and field.title)


def assignment(path: str, value: Any) -> str:
    """`path=value` as `--set` reads it back."""
    return f"{path}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _describe(name: str, field: FieldInfo, section: str) -> FieldFacts:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kind, choices, is_optional = _kind(field.annotation)
    low, excludes_low = _bound(field, "ge", "gt")
    high, excludes_high = _bound(field, "le", "lt")
    return FieldFacts(
        path=f"{section}.{name}" if section else name,
        title=field.title or "",
        help=field.description or "",
        unit=str(extra.get("unit", "")),
        kind=kind,
        choices=choices,
        low=low,
        high=high,
        excludes_low=excludes_low,
        excludes_high=excludes_high,
        is_optional=is_optional,
        is_advanced=bool(extra.get("advanced", False)),
        default=None if field.is_required() else field.get_default(call_default_factory=True),
    )


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...], bool]:
    """Kind, choices and whether None is allowed, from a type."""
    parts = [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = list(typing.get_args(annotation))
    is_optional = type(None) in parts
    parts = [part for part in parts if part is not type(None)]
    if any(typing.get_origin(part) is list for part in parts):
        return "list", _words(parts), is_optional
    if len(parts) == 1 and typing.get_origin(parts[0]) is Literal:
        return "choice", _words(parts), is_optional
    return _KINDS.get(typing.get_origin(parts[0]) or parts[0], "text"), (), is_optional


def _words(parts: list[Any]) -> tuple[str, ...]:
    """Every literal word among the types."""
    return tuple(str(word) for part in parts if typing.get_origin(part) is Literal for word in typing.get_args(part))


def _bound(field: FieldInfo, closed: str, open_: str) -> tuple[float | None, bool]:
    for constraint in field.metadata:
        if (value := getattr(constraint, closed, None)) is not None:
            return float(value), False
        if (value := getattr(constraint, open_, None)) is not None:
            return float(value), True
    return None, False
