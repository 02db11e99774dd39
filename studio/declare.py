"""One declaration of a setting: the form, the flag, the file, the check and the help are all read from it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base of every group of settings: frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def setting(
    default: Any,
    *,
    title: str,
    help: str,
    unit: str = "",
    advanced: bool = False,
    **bounds: Any,
) -> Any:
    """A field of `Settings`.

    Args:
        default: the value when nothing is said; `...` when it must be said.
        title: what a form calls it.
        help: for someone who has not read the paper: what it does, when to raise it, what it costs.
        unit: shown behind the value, "" when there is none.
        advanced: folded away in forms.
        bounds: pydantic's own (ge, gt, le, lt, ...).
    """
    return Field(
        default, title=title, description=help, json_schema_extra={"unit": unit, "advanced": advanced}, **bounds
    )
