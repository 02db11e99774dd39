"""Raw text: one column to continue, without turns. All of it is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studio.data import columns as cols
from studio.data import fields
from studio.data.conversation import Example, RowError
from studio.formats import Format, Guess


def _is_words(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _guess(rows: Sequence[Mapping[str, Any]]) -> Guess:
    column = cols.find(rows, ("text", "content", "document", "body", "story", "code"), cols.is_text)
    all_columns = cols.column_names(rows)
    if column is None and len(all_columns) == 1 and cols.share(rows, all_columns[0], _is_words) >= 0.5:
        return Guess(0.6, {"text": all_columns[0]}, f'The only column, "{all_columns[0]}", holds text.')
    if column is None:
        return Guess(0, {}, 'Looked for a column "text".')
    score = 0.9 if len(all_columns) == 1 else 0.7
    return Guess(score, {"text": column}, f'There is a column "{column}" of text.')


def _read(row: Mapping[str, Any], columns: Mapping[str, str]) -> Example:
    return Example(text=fields.text_of(row, columns["text"]))


def _write(example: Example, columns: Mapping[str, str]) -> dict[str, Any]:
    if example.messages:
        raise RowError("is plain text, without questions and answers")
    return {columns["text"]: example.text}


FORMAT = Format(
    key="text",
    title="Plain text",
    summary="One column of text that the model learns to continue; all of it is learned.",
    roles={"text": "the text to learn"},
    sample={"text": "Once upon a time there was a small house by the sea."},
    guess=_guess,
    read=_read,
    write=_write,
)
