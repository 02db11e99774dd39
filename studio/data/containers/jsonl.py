"""JSONL / NDJSON: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from studio.data.rows import SourceFacts, SourceRow
from studio.data.text_files import TextFile


class JsonLines:
    """Reads JSON lines; a line that cannot be read is a broken row, the others stay usable."""

    def __init__(self, text: TextFile) -> None:
        self._text = text
        self.facts = SourceFacts(text.path, "JSONL", "line", text.encoding, text.compression)

    def rows(self) -> Iterator[SourceRow]:
        return (_row(*line) for line in self._lines())

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Iterator[SourceRow]:
        return (_row(*line) for ordinal, line in enumerate(self._lines()) if mask[ordinal])

    def _lines(self) -> Iterator[tuple[int, str, str]]:
        return (line for line in self._text.lines() if line[2] or (line[1] and not line[1].isspace()))

    def count(self) -> int:
        """Exact but for lines of nothing but spaces, which count as rows here."""
        if self._text.is_utf8:
            return self._text.count_lines()
        return sum(1 for _ in self._text.lines())


def _row(number: int, line: str, problem: str) -> SourceRow:
    """One line as a row."""
    if problem:
        return SourceRow(number, None, problem)
    try:
        value = json.loads(line)
    except RecursionError:
        return SourceRow(number, None, "is nested too deeply")
    except ValueError as error:
        return SourceRow(number, None, _reason(line, error))
    if not isinstance(value, dict):
        return SourceRow(number, None, f"is a {_kind(value)}, not an object with named fields")
    return SourceRow(number, value)


def _reason(line: str, error: ValueError) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return f"cannot be read as JSON: {str(error)[:100]}"
    if error.pos >= len(line.rstrip()) or error.msg.startswith("Unterminated string"):
        return "ends in the middle: the JSON object is not closed"
    return f"is not JSON: {error.msg} at character {error.pos + 1}"


def _kind(value: object) -> str:
    names = {list: "list", str: "text", bool: "truth value", int: "number", float: "number"}
    return names.get(type(value), "null")
