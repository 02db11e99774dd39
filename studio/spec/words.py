"""A sentence as the window says it: settings by their titles, not by the paths that `--set` and files use."""

from __future__ import annotations

import re
from typing import Any

from studio.declare import Settings
from studio.methods import METHODS
from studio.objectives import OBJECTIVES
from studio.optimizers import OPTIMIZERS
from studio.spec.file import section_type
from studio.spec.run_spec import RunSpec
from studio.units import Registry

_UNITS: dict[str, Registry[Any]] = {"method": METHODS, "objective": OBJECTIVES, "optimizer": OPTIMIZERS}
_SECTIONS = "|".join(name for name in RunSpec.model_fields if name != "version")
_PATH = re.compile(rf"(?<![\w./\\])({_SECTIONS})\.(\w+)(?:=([^\s,;]*[^\s,;.]))?")
_WORDS = {"true": "on", "false": "off"}


def in_words(sentence: str) -> str:
    """'Set "Held out" to 0.05.' of 'Set data.holdout to 0.05.'; what only looks like a setting stays as it is."""
    return _PATH.sub(_title, sentence)


def title_of(path: str) -> str:
    """The title of a setting by its path, as its form shows it; "" where none is declared."""
    section, _, name = path.partition(".")
    if name == "key":
        return section.capitalize()
    if not name:
        return ""  # the version of the file is in no section
    fields = (declared.model_fields.get(name) for declared in _declared(section))
    return next((field.title or "" for field in fields if field), "")


def _title(found: re.Match[str]) -> str:
    section, name, value = found.groups()
    title = title_of(f"{section}.{name}")
    if not title:
        return found[0]
    return f'"{title}"' if value is None else f'"{title}" = {_WORDS.get(value.lower(), value)}'


def _declared(section: str) -> list[type[Settings]]:
    """Every declaration of a section; of a unit's there are as many as there are units."""
    if section in _UNITS:
        return [unit.Params for unit in _UNITS[section].all().values()]
    return [section_type(section, {})]
