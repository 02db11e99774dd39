"""JSONL / NDJSON: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from studio.data.rows import SourceFacts, SourceRow
from studio.data.text_files import TextFile


class JsonLines:
    """Reads JSON lines; a line that cannot be read is a broken row, the others stay usable."""

    def __init__(self, text: TextFile) -> None:
        self._text = text
        self.facts = SourceFacts(text.path, "JSONL", "line", text.encoding, text.compression)

    def rows(self) -> Iterator[SourceRow]:
        for number, line, problem in self._text.lines():
            if problem:
                yield SourceRow(number, None, problem)
            elif line and not line.isspace():
                yield parse(number, line)

    def count(self) -> int:
        """Exact but for lines of nothing but spaces, which count as rows here."""
        if self._text.is_utf8:
            return self._text.count_lines()
        return sum(1 for _ in self._text.lines())


def parse(number: int, line: str) -> SourceRow:
    """One line as a row."""
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
