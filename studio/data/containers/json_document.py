"""One JSON document: an array of rows, an object that holds one array of rows, or objects one after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studio.data.rows import ChosenByReading, SourceFacts, SourceRow
from studio.data.text_files import TextFile, said_of
from studio.errors import UserError

_LOOK_AT_EVENTS = 200_000


class JsonDocument(ChosenByReading):
    """Streams rows out of a JSON document of any size.

    A document that is damaged somewhere is a whole-file error: behind the damage nothing can be trusted.
    """

    def __init__(self, text: TextFile) -> None:
        self._text = text
        self._prefix, note = self._find_rows()
        self.facts = SourceFacts(text.path, "JSON", "row", text.encoding, text.compression, (note,) if note else ())

    def rows(self) -> Iterator[SourceRow]:
        import ijson

        number = 0
        with self._text.open_bytes() as file, said_of(self._text.path):
            try:
                for number, value in enumerate(
                    ijson.items(_Utf8(file, self._text), self._prefix, use_float=True, multiple_values=True), 1
                ):
                    yield _row(number, value)
            except (ijson.JSONError, ValueError, RecursionError) as error:
                raise _damaged(self._text, number, error) from error

    def count(self) -> int:
        """A whole pass: JSON has no shorter way."""
        return sum(1 for _ in self.rows())

    def _find_rows(self) -> tuple[str, str]:
        """The ijson prefix of the rows, and a note on the choice."""
        import ijson

        try:
            with self._text.open_bytes() as file, said_of(self._text.path):
                events = ijson.parse(_Utf8(file, self._text), multiple_values=True)
                return _choose(events)
        except (ijson.JSONError, ValueError, RecursionError) as error:
            raise _damaged(self._text, 0, error) from error


def _choose(events: Any) -> tuple[str, str]:
    first = next(events, None)
    if first is not None and first[1] == "start_array":
        return "item", ""
    for count, (prefix, event, _) in enumerate(events):
        is_top_array = event == "start_map" and prefix.endswith(".item") and "." not in prefix[: -len(".item")]
        if is_top_array:
            return prefix, f'The rows are the entries of "{prefix.removesuffix(".item")}".'
        if count > _LOOK_AT_EVENTS or (event == "end_map" and not prefix):
            break
    return "", "Each object of the file is one row."


class _Utf8:
    """A byte reader for ijson, which wants UTF-8 whatever the file is in."""

    def __init__(self, file: Any, text: TextFile) -> None:
        import codecs

        self._file = file
        self._decoder = None if text.encoding == "utf-8" else codecs.getincrementaldecoder(text.encoding)("replace")

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        while True:
            block: bytes = self._file.read(size)
            if self._decoder is None:
                return block
            text = self._decoder.decode(block, final=not block)
            if text or not block:
                return text.encode("utf-8", "replace")


def _row(number: int, value: Any) -> SourceRow:
    if isinstance(value, dict):
        return SourceRow(number, value)
    return SourceRow(number, None, "is not an object with named fields")


def _damaged(text: TextFile, good: int, error: Exception) -> UserError:
    said = str(error)
    # A file cut off inside an escape is called a bad escape; a file that ends as JSON does is not cut off.
    ended = "premature" in said or ("inside a string" in said and not text.ends_with("]}"))
    what = f"ends in the middle of row {good + 1:,}" if ended else f"is damaged in row {good + 1:,}"
    fine = (
        f" The {good:,} {'row' if good == 1 else 'rows'} before it {'is' if good == 1 else 'are'} fine." if good else ""
    )
    detail = "" if ended else f" ({said.splitlines()[0][:120]})"
    return UserError(
        f"{text.path.name} {what}{detail}.{fine}",
        "Write the file again, or as JSONL (one object a line), where one broken row leaves the others usable.",
    )
