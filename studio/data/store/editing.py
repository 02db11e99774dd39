"""The texts of a row that a person may rewrite, whatever the row's shape, and putting them back."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of a turn, who speaks is named beside its text and not rewritten here.
_SPEAKER_KEYS = ("role", "from", "speaker", "author")


@dataclass(frozen=True)
class RowText:
    """A text of a row: where it stands (keys and places, outermost first), what it is called, what it says."""

    path: tuple[str | int, ...]
    label: str
    text: str


def row_texts(row: Mapping[str, Any]) -> list[RowText]:
    """All texts of the row, in order."""
    return list(_texts(row, (), ""))


def with_texts(row: Mapping[str, Any], changed: Sequence[RowText]) -> dict[str, Any]:
    """The row with other texts in the same places."""
    result: dict[str, Any] = copy.deepcopy(dict(row))
    for text in changed:
        place: Any = result
        for step in text.path[:-1]:
            place = place[step]
        place[text.path[-1]] = text.text
    return result


def _texts(value: Any, path: tuple[str | int, ...], label: str) -> Iterator[RowText]:
    if isinstance(value, str):
        yield RowText(path, label, value)
    elif isinstance(value, Mapping):
        speaker = next((str(value[key]) for key in _SPEAKER_KEYS if isinstance(value.get(key), str) and path), "")
        for key, item in value.items():
            if not (speaker and key in _SPEAKER_KEYS):
                yield from _texts(item, (*path, key), speaker or str(key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _texts(item, (*path, at), label)
