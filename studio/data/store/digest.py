"""What is kept of one row for browsing: its first message, its words for searching, and what is odd about it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from studio.data.conversation import Example, RowError
from studio.data.rows import SourceRow
from studio.data.tokenising import RowReader

_FIRST_CHARACTERS = 160
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}")
_NOT_WORDS = re.compile(r"[\W_]+")
EMAIL_MARK = "[e-mail]"


class Mark(IntFlag):
    """What was found in a row while it was imported."""

    SET_ASIDE = 1
    EMAIL = 2
    ECHO = 4
    ENDS_WITH_QUESTION = 8
    ONE_WORD = 16


@dataclass(frozen=True, slots=True)
class RowDigest:
    """One row of the store.

    Attributes:
        number: its place in the file.
        turns: turns that are not the system's; 0 for plain text.
        marks: `Mark`s.
        words: a hash of its words, case and punctuation aside; rows with the same one repeat each other.
        first: the beginning of the first thing that is asked, on one line; why, for a row set aside.
        search: all of its text, case folded.
        row: the row as JSON; "" when it cannot be read at all.
    """

    number: int
    turns: int
    marks: int
    words: int
    first: str
    search: str
    row: str


def digest(row: SourceRow, reader: RowReader) -> RowDigest:
    """Look at one row."""
    written = "" if row.value is None else json.dumps(row.value, default=str)
    try:
        if row.value is None:
            raise RowError(row.problem)
        example = reader.read(row.value)
    except RowError as error:
        said = clean(f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return RowDigest(row.number, 0, int(Mark.SET_ASIDE), 0, said, f"{said}\n{written}".casefold(), written)
    return _of_example(row.number, example, written)


def replace_emails(value: Any) -> Any:
    """The value with each e-mail address in its texts replaced by `EMAIL_MARK`."""
    if isinstance(value, str):
        return _EMAIL.sub(EMAIL_MARK, value)
    if isinstance(value, list):
        return [replace_emails(item) for item in value]
    if isinstance(value, dict):
        return {key: replace_emails(item) for key, item in value.items()}
    return value


def clean(text: str) -> str:
    """The text without what no file can hold (lone surrogates)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _of_example(number: int, example: Example, written: str) -> RowDigest:
    texts = [message.content for message in example.messages] or [example.text]
    folded = clean("\n".join(texts)).casefold()
    turns = sum(message.role != "system" for message in example.messages)
    first = next((message.content for message in example.messages if message.role != "system"), texts[0])
    line = clean(" ".join(first[: 4 * _FIRST_CHARACTERS].split())[:_FIRST_CHARACTERS])
    return RowDigest(number, turns, _marks(example, texts), _word_hash(folded), line, folded, written)


def _marks(example: Example, texts: list[str]) -> int:
    marks = Mark(0)
    if any("@" in text and _EMAIL.search(text) for text in texts):
        marks |= Mark.EMAIL
    if not example.messages:
        return int(marks)
    last = example.messages[-1]
    if last.role == "user":
        return int(marks | Mark.ENDS_WITH_QUESTION)
    if len(last.content) < 40 and len(last.content.split()) == 1:
        marks |= Mark.ONE_WORD
    asked = next((message for message in reversed(example.messages[:-1]) if message.role == "user"), None)
    if asked is not None and last.content.strip() and _plain(asked.content) == _plain(last.content):
        marks |= Mark.ECHO
    return int(marks)


def _plain(text: str) -> str:
    return _NOT_WORDS.sub(" ", text.casefold()).strip()


def _word_hash(folded: str) -> int:
    words = _NOT_WORDS.sub(" ", folded).strip() or folded  # text of nothing but signs is told apart by them
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "little", signed=True)
