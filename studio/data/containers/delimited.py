"""CSV and TSV: a header line, then cells; the delimiter is found by looking."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from studio.data.rows import MAX_ROW_BYTES, ChosenByReading, SourceFacts, SourceRow
from studio.data.text_files import TextFile, said_of
from studio.errors import UserError

_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


class Delimited(ChosenByReading):
    """Reads delimited text. All values are strings; a row with too many or too few cells is a broken row."""

    def __init__(self, text: TextFile, delimiter: str) -> None:
        self._text = text
        self._delimiter = delimiter
        name = "TSV" if delimiter == "\t" else "CSV"
        note = "" if delimiter in ",\t" else f"The cells are separated by {_DELIMITERS[delimiter]}s."
        self.facts = SourceFacts(
            text.path, name, "line", text.encoding, text.compression, notes=(note,) if note else ()
        )

    def rows(self) -> Iterator[SourceRow]:
        csv.field_size_limit(MAX_ROW_BYTES)  # one missing quote must not swallow the file
        with self._text.open_text() as file, said_of(self._text.path):
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            header = self._header(reader)
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    yield SourceRow(line, None, _reason(error))
                    continue
                if cells is None:
                    return
                if cells:
                    yield _row(line, cells, header)

    def count(self) -> int:
        """A whole pass: quoted cells may hold line breaks."""
        return sum(1 for _ in self.rows())

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        try:
            header = next((cells for cells in reader if cells), [])
        except csv.Error as error:
            raise UserError(f"The header line of {self._text.path.name} {_reason(error)}.") from error
        header = [cell.strip() for cell in header]
        doubled = {name for name in header if header.count(name) > 1 and name}
        if doubled:
            raise UserError(
                f'{self._text.path.name} has two columns named "{sorted(doubled)[0]}".', "Rename one of them."
            )
        return [name or f"column {at}" for at, name in enumerate(header, 1)]


def sniff_delimiter(sample: str) -> str:
    """The delimiter that splits the sample's records most evenly into more than one cell; "" when none does."""
    best, best_score = "", 0.0
    for delimiter in _DELIMITERS:
        score = _evenness(sample, delimiter)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _evenness(sample: str, delimiter: str) -> float:
    csv.field_size_limit(MAX_ROW_BYTES)
    widths = []
    try:
        for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True):
            if cells:
                widths.append(len(cells))
    except csv.Error:
        pass  # the sample may end inside quotes; what came before counts
    widths = widths[:50] if len(widths) < 2 else widths[:51][: len(widths) - 1] or widths
    if not widths or widths[0] < 2:
        return 0.0
    return sum(width == widths[0] for width in widths) / len(widths) + min(widths[0], 20) / 1000


def _row(line: int, cells: Sequence[str], header: Sequence[str]) -> SourceRow:
    if len(cells) != len(header):
        return SourceRow(line, None, f"has {len(cells)} cells, the header has {len(header)}")
    if any("\ufffd" in cell for cell in cells):
        return SourceRow(line, None, "holds bytes that do not fit the file's encoding")
    return SourceRow(line, dict(zip(header, cells, strict=True)))


def _reason(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end" in said:
        return "opens a quote that is never closed"
    if "field larger" in said:
        return "opens a quote that is not closed for millions of characters"
    if "expected after" in said:
        return "has text behind a closing quote; quotes inside a cell are written twice"
    return f"is not readable as CSV: {said}"
