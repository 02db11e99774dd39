"""Opens a file of rows: decides by content, then by extension, which container it is."""

from __future__ import annotations

import codecs
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studio.data.containers import columnar
from studio.data.containers.delimited import Delimited, sniff_delimiter
from studio.data.containers.json_document import JsonDocument
from studio.data.containers.jsonl import JsonLines
from studio.data.containers.plain_text import PlainText
from studio.data.rows import Source
from studio.data.text_files import SAMPLE_BYTES, TextFile, find_encoding, open_bytes, said_of
from studio.errors import UserError

_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "Unpack it, or save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", "Save it as CSV or as plain text."),
    (b"%PDF", "a PDF", "Copy its text into a plain text file."),
    (b"SQLite format 3\0", "an SQLite database", "Export the table as CSV or JSONL."),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "Unpack it with `zstd -d` first."),
    (b"BZh", "packed with bzip2", "Unpack it with `bunzip2` first."),
    (b"\xfd7zXZ\0", "packed with xz", "Unpack it with `unxz` first."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it first."),
    (b"FEA1", "an old Feather (version 1) file", "Write it again as Parquet."),
    (b"\x89HDF", "an HDF5 file", "Write it again as Parquet."),
    (b"GGUF", "a GGUF model, not data", "Choose a file of rows."),
)


def open_source(path: Path) -> Source:
    """A reader for the file.

    Raises:
        UserError: it is missing, empty, unreadable, or no known kind of file.
    """
    _check_there(path)
    head = _head(path, "")
    for magic, what, hint in _FOREIGN:
        if head.startswith(magic):
            raise UserError(f"{path.name} is {what}.", hint)
    if head.startswith(b"PAR1"):
        return columnar.parquet(path)
    if head.startswith(b"ARROW1"):
        return columnar.arrow(path, is_stream=False)
    if head.startswith(b"\xff\xff\xff\xff"):
        return columnar.arrow(path, is_stream=True)
    compression = "gzip" if head.startswith(b"\x1f\x8b") else ""
    if compression:
        head = _head(path, compression)
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise UserError(f"{path.name} holds nothing but {'NUL bytes' if head.strip() else 'empty lines'}.")
    return _open_text(path, head, compression)


def first_rows(source: Source, count: int = 200) -> list[Mapping[str, Any]]:
    """Up to `count` good rows from the beginning.

    Raises:
        UserError: as reading them does; or none of the first thousands is readable.
    """
    seen = list(itertools.islice(source.rows(), count))
    rows = [row.value for row in seen if row.value is not None]
    if rows:
        return rows
    if not seen:
        raise UserError(f"{source.facts.path.name} holds no rows.", "Choose a file that holds some.")
    later = (row.value for row in itertools.islice(source.rows(), 10_000) if row.value is not None)
    if (found := next(later, None)) is not None:
        return [found]
    place = f"{source.facts.unit} {seen[0].number}"
    raise UserError(
        f"No row of {source.facts.path.name} can be read as {source.facts.container}: {place} {seen[0].problem}."
    )


def _check_there(path: Path) -> None:
    if path.is_dir():
        files = sorted(item.name for item in path.iterdir() if item.is_file())[:8]
        raise UserError(f"{path} is a folder, not a file.", f"Choose one of its files: {', '.join(files)}.")
    if not path.exists():
        raise UserError(f"There is no file {path}.", _similar(path))
    if not path.is_file():
        raise UserError(f"{path} is not a regular file.")
    if path.stat().st_size == 0:
        raise UserError(f"{path.name} is empty.", "Choose a file that holds rows.")


def _similar(path: Path) -> str:
    import difflib

    names = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f'Did you mean "{close[0]}"?' if close else f"Looked in {path.parent.resolve()}."


def _head(path: Path, compression: str) -> bytes:
    with said_of(path), open_bytes(path, compression) as file:
        return file.read(SAMPLE_BYTES)


def _open_text(path: Path, head: bytes, compression: str) -> Source:
    is_whole = len(head) < SAMPLE_BYTES
    text = TextFile(path, find_encoding(head, path, is_whole=is_whole), compression)
    sample = codecs.getincrementaldecoder(text.encoding)("replace").decode(head).lstrip("\ufeff")
    suffix = Path(path.stem).suffix.lower() if compression else path.suffix.lower()
    return (_BY_SUFFIX.get(suffix) or _by_content)(text, sample, is_whole)


def _by_content(text: TextFile, sample: str, is_whole: bool) -> Source:
    start = sample.lstrip()[:1]
    if start in ("{", "["):
        return _json(text, sample, is_whole)
    if delimiter := sniff_delimiter(sample):
        lines = [line for line in sample.splitlines() if line.strip()]
        if len(lines) > 1 and _is_header(lines[0].split(delimiter)):
            return Delimited(text, delimiter)
    return _text(text, sample, is_whole)


def _is_header(cells: list[str]) -> bool:
    """Short names without sentences: prose has commas too."""
    names = [cell.strip().strip('"') for cell in cells]
    return all(0 < len(name) <= 40 and name[-1] not in ".!?" and len(name.split()) <= 3 for name in names)


def _json(text: TextFile, sample: str, is_whole: bool) -> Source:
    body = sample.lstrip()
    if body.startswith("{") and _is_lines(body, is_whole):
        return JsonLines(text)
    if not body.startswith(("{", "[")):
        raise UserError(f"{text.path.name} is not JSON: it begins with {body[:20]!r}.")
    return JsonDocument(text)


def _is_lines(body: str, is_whole: bool) -> bool:
    """Whether the first line is a complete row: an object that is not merely the holder of an array of rows."""
    first, _, rest = body.partition("\n")
    if not rest.strip() and is_whole:
        try:
            return not holds_rows(json.loads(first))
        except (ValueError, RecursionError):
            return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        # A broken first line, or a document over several lines: then the next lines do not begin objects.
        following = [line for line in rest.split("\n")[:20] if line.strip()]
        return bool(following) and len(first) > 1 and all(line.startswith("{") for line in following)


def holds_rows(value: Any) -> bool:
    """An object such as {"data": [{...}, ...]}; a conversation's list of turns is not an array of rows."""
    if not isinstance(value, dict):
        return True
    arrays = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
    return len(arrays) == 1 and not ({"role", "from", "content", "value"} & set(arrays[0][0]))


def _lines(text: TextFile, sample: str, is_whole: bool) -> Source:
    # An array in a file called .jsonl is common and clear enough to be read as what it is.
    body = sample.lstrip()
    if body.startswith("["):
        first = body.partition("\n")[0]
        if not first.rstrip().endswith("]") or is_whole:
            return JsonDocument(text)
    return JsonLines(text)


def _delimited(text: TextFile, sample: str, is_whole: bool) -> Source:
    return Delimited(text, sniff_delimiter(sample) or ("\t" if text.path.suffix.lower() == ".tsv" else ","))


def _text(text: TextFile, sample: str, is_whole: bool) -> Source:
    # Rows as JSON in a file called .txt: nobody means to learn the braces.
    if sample.lstrip().startswith("{") and _is_lines(sample.lstrip(), is_whole):
        return JsonLines(text)
    lines = sample.splitlines()
    blank = sum(not line.strip() for line in lines[1:-1])
    return PlainText(text, by_paragraph=blank > len(lines) // 100)


_BY_SUFFIX: dict[str, Callable[[TextFile, str, bool], Source]] = {
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".json": _json,
    ".csv": _delimited,
    ".tsv": _delimited,
    ".tab": _delimited,
    ".txt": _text,
    ".md": _text,
}
