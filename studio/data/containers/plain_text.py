"""Plain text: a paragraph is a row where blank lines separate paragraphs, else a line is."""

from __future__ import annotations

from collections.abc import Iterator

from studio.data.rows import ChosenByReading, SourceFacts, SourceRow
from studio.data.text_files import TextFile

# A "paragraph" longer than this is cut: the file has few blank lines, and rows must stay bounded.
_MAX_PARAGRAPH = 1_000_000


class PlainText(ChosenByReading):
    """Rows with the one column "text"."""

    def __init__(self, text: TextFile, *, by_paragraph: bool) -> None:
        self._text = text
        self._by_paragraph = by_paragraph
        note = "Each paragraph is a row (blank lines separate them)." if by_paragraph else "Each line is a row."
        self.facts = SourceFacts(text.path, "plain text", "line", text.encoding, text.compression, (note,))

    def rows(self) -> Iterator[SourceRow]:
        return self._paragraphs() if self._by_paragraph else self._lines()

    def count(self) -> int:
        return sum(1 for _ in self.rows())

    def _lines(self) -> Iterator[SourceRow]:
        for number, line, problem in self._text.lines():
            if problem:
                yield SourceRow(number, None, problem)
            elif line.strip():
                yield SourceRow(number, {"text": line})

    def _paragraphs(self) -> Iterator[SourceRow]:
        start, held, length = 0, list[str](), 0
        for number, line, problem in self._text.lines():
            if held and (problem or not line.strip() or length > _MAX_PARAGRAPH):
                yield SourceRow(start, {"text": "\n".join(held)})
                held, length = [], 0
            if problem:
                yield SourceRow(number, None, problem)
            elif line.strip():
                start = start if held else number
                held.append(line)
                length += len(line)
        if held:
            yield SourceRow(start, {"text": "\n".join(held)})
