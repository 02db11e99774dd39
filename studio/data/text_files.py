"""Bytes to text: unpacking gzip, finding the encoding by looking, reading lines of bounded length."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from studio.data.rows import MAX_ROW_BYTES
from studio.errors import UserError

SAMPLE_BYTES = 1 << 18
# Each look at a block holds the interpreter: with blocks of 4 MB the window stood still for a tenth of a second.
_COUNTED_BYTES = 1 << 17
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8 = ("utf-8", "utf-8-sig")
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\x1b")


@dataclass(frozen=True)
class TextFile:
    """A file of text and how its bytes are to be read."""

    path: Path
    encoding: str
    compression: str = ""

    @property
    def is_utf8(self) -> bool:
        return self.encoding in _UTF8

    def open_bytes(self) -> IO[bytes]:
        """The unpacked bytes."""
        return open_bytes(self.path, self.compression)

    def open_text(self) -> IO[str]:
        """Decoded text; what cannot be decoded becomes U+FFFD. Line ends are left as they are."""
        return io.TextIOWrapper(self.open_bytes(), encoding=self.encoding, errors="replace", newline="")

    def ends_with(self, characters: str) -> bool:
        """Whether the last visible character is one of these (a whole pass; for an error message)."""
        last = ""
        with self.open_text() as file, said_of(self.path):
            while block := file.read(1 << 20):
                last = block.rstrip()[-1:] or last
        return last != "" and last in characters

    def lines(self) -> Iterator[tuple[int, str, str]]:
        """Line number from 1, text without its line end, and a problem ("" for a good line)."""
        return self._lines_of_bytes() if self.is_utf8 else self._lines_of_text()

    def _lines_of_bytes(self) -> Iterator[tuple[int, str, str]]:
        with self.open_bytes() as file, said_of(self.path):
            for number, line in enumerate(_bounded(file), 1):
                if line is None:
                    yield number, "", f"is longer than {MAX_ROW_BYTES // 1_000_000} MB"
                    continue
                if number == 1 and line.startswith(codecs.BOM_UTF8):
                    line = line[3:]
                try:
                    yield number, line.rstrip(b"\r\n").decode("utf-8"), ""
                except UnicodeDecodeError as error:
                    yield number, "", f"is not valid UTF-8 at byte {error.start + 1}"

    def _lines_of_text(self) -> Iterator[tuple[int, str, str]]:
        with self.open_text() as file, said_of(self.path):
            for number, line in enumerate(_bounded_text(file), 1):
                if line is None:
                    yield number, "", f"is longer than {MAX_ROW_BYTES // 1_000_000} MB"
                elif "\ufffd" in line:
                    yield number, "", f"holds bytes that are not {self.encoding}"
                else:
                    yield number, line.rstrip("\r\n"), ""

    def count_lines(self) -> int:
        """Lines with something in them, counted in blocks of bytes (encodings in which a line break is one byte)."""
        count = 0
        with self.open_bytes() as file, said_of(self.path):
            while block := file.read(_COUNTED_BYTES):
                count += _lines_with_something(block + file.readline(MAX_ROW_BYTES))
        return count


def _lines_with_something(block: bytes) -> int:
    """Lines of a block that is whole lines, without the empty ones."""
    has_empty = block.startswith((b"\n", b"\r\n")) or b"\n\n" in block or (b"\r" in block and b"\n\r\n" in block)
    if not has_empty:  # the usual case, several times quicker
        return block.count(b"\n") + (not block.endswith(b"\n"))
    data = np.frombuffer(block if block.endswith(b"\n") else block + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(data == 10)
    lengths = np.diff(ends, prepend=-1) - 1
    is_empty = (lengths == 0) | ((lengths == 1) & (data[ends - 1] == 13))
    return len(ends) - int(np.count_nonzero(is_empty))


class said_of:  # noqa: N801 - reads as a sentence at its use
    """Turns what the operating system and gzip say about a file into a sentence about that file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
            raise UserError(
                f"{self._path.name} is damaged: its gzip data ends early or cannot be unpacked.",
                "Copy or download the file again.",
            ) from error
        if isinstance(error, OSError):
            raise UserError(f"{self._path} cannot be read: {error.strerror or error}.") from error


def open_bytes(path: Path, compression: str) -> IO[bytes]:
    """The file's bytes, unpacked."""
    with said_of(path):
        return cast("IO[bytes]", gzip.open(path, "rb")) if compression else path.open("rb", buffering=1 << 20)


def find_encoding(sample: bytes, path: Path, *, is_whole: bool) -> str:
    """The encoding of a text file by looking at its first bytes.

    Raises:
        UserError: this is no text.
    """
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    if b"\0" in sample and (wide := _wide_encoding(sample)):
        return wide
    if not _looks_like_text(sample):
        raise UserError(
            f"{path.name} is not a file of rows: it holds binary data.",
            "Known files: JSONL, JSON, CSV, TSV, Parquet, Arrow, plain text; text files may be gzipped.",
        )
    return "utf-8" if _is_utf8(sample, is_whole=is_whole) else _detected(sample)


def _is_utf8(sample: bytes, *, is_whole: bool) -> bool:
    """Valid UTF-8, or at least more of it than of anything else: a few bad bytes are broken rows, not Latin-1."""
    decoder = codecs.getincrementaldecoder("utf-8")
    try:
        decoder().decode(sample, final=is_whole)
    except UnicodeDecodeError:
        pass
    else:
        return True
    text = decoder("replace").decode(sample, final=is_whole)
    bad = text.count("\ufffd") - sample.count("\ufffd".encode())
    good = sum(character > "\x7f" for character in text) - text.count("\ufffd")
    return bad <= good


def _wide_encoding(sample: bytes) -> str:
    """UTF-16 without a mark: every other byte of Latin text is NUL."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) / 2
    if odd > 0.3 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.3 * half and odd < 0.05 * half:
        return "utf-16-be"
    return ""


def _looks_like_text(sample: bytes) -> bool:
    return len(sample) - len(sample.translate(None, _CONTROLS)) <= len(sample) // 200


def _detected(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample[:65536]).best()
    name = best.encoding if best else "cp1252"
    # The common superset: a sample without a curly quote is often called Latin-1 or worse, and is cp1252 in truth.
    if name in ("latin_1", "iso8859_1", "ascii", "cp1250", "mac_roman", "hp_roman8", "cp1252"):
        return "cp1252" if _decodes(sample, "cp1252") else "latin-1"
    return str(name)


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _bounded(file: IO[bytes]) -> Iterator[bytes | None]:
    """Lines; None for one that is too long, which is skipped without keeping it."""
    while line := file.readline(MAX_ROW_BYTES):
        if len(line) < MAX_ROW_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None


def _bounded_text(file: IO[str]) -> Iterator[str | None]:
    while line := file.readline(MAX_ROW_BYTES):
        if len(line) < MAX_ROW_BYTES or line.endswith("\n"):
            yield line
            continue
        while (rest := file.readline(MAX_ROW_BYTES)) and not rest.endswith("\n"):
            pass
        yield None
