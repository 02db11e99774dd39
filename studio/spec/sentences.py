"""pydantic's error records turned into problems a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studio.declare import Settings
from studio.errors import Problem, nearest
from studio.sizes import human_number

_WANTED = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "literal_error": "one of: {expected}",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "string_pattern_mismatch": "written as its help says",
    "dict_type": "a table of names and values",
    "list_type": "a list",
}


def problem_of(detail: Mapping[str, Any], section: str, declared: type[Settings]) -> Problem:
    """One pydantic error record (of `ValidationError.errors()`) as a problem at "section.field"."""
    name = str(detail["loc"][0]) if detail["loc"] else ""
    path = ".".join(str(part) for part in (section, *_plain(detail["loc"])) if part != "")
    if detail["type"] == "extra_forbidden":
        return Problem(path, f'There is no setting "{name}" in "{section}".', nearest(name, declared.model_fields))
    title = declared.model_fields[name].title if name in declared.model_fields else None
    help_text = (declared.model_fields[name].description or "") if name in declared.model_fields else ""
    if detail["type"] == "missing":
        return Problem(path, f"{title or name} is not said.", help_text)
    return Problem(path, f"{title or name} {_complaint(detail)}", help_text)


def _complaint(detail: Mapping[str, Any]) -> str:
    wanted = _WANTED.get(detail["type"])
    if wanted is None:
        return f"cannot be used: {str(detail['msg']).removeprefix('Value error, ')}."
    return f"must be {wanted.format(**detail.get('ctx', {}))}; it is {_short(detail.get('input'))}."


def _plain(location: tuple[Any, ...]) -> tuple[Any, ...]:
    """The location without the names of union members, which mean nothing to a person."""
    return tuple(part for part in location if part not in ("int", "float", "str", "bool", "list[str]", "none"))


def _short(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else human_number(value, 10) if type(value) is float else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
