"""One row as the model would see it: found in the file, rendered, tokenised, with what is learned of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.data.conversation import Example, RowError
from studio.data.encoding import EncodedRow, EncodingSettings, encode_example
from studio.data.rows import SourceFacts, SourceRow
from studio.data.source import open_source
from studio.data.tokenising import RowReader
from studio.errors import UserError
from studio.models.tokenizer import ChatTokenizer


@dataclass(frozen=True)
class Preview:
    """A rendered row.

    Attributes:
        facts: the file.
        number: the row's place in it.
        value: the row as it stands in the file.
        example: what the format made of it.
        row: its tokens, which of them are learned, and how many do not fit.
        tokens: the text of each token.
    """

    facts: SourceFacts
    number: int
    value: Mapping[str, Any]
    example: Example
    row: EncodedRow
    tokens: list[str]

    def pieces(self) -> list[tuple[str, str]]:
        """The text in pieces, each "learned", "read" (seen, not learned) or "cut"."""
        kinds = ["cut"] * len(self.row.text)
        for (start, end), trained in zip(self.row.edges or (), self.row.trained.tolist(), strict=True):
            kinds[start:end] = ["learned" if trained else "read"] * (end - start)
        return _grouped(self.row.text, _closed_gaps(kinds))


def preview(
    path: Path, number: int, reader: RowReader, tokenizer: ChatTokenizer, settings: EncodingSettings
) -> Preview:
    """Render the row with this number, 0 meaning the first.

    Raises:
        UserError: there is no such row, or it cannot be used; the message has the reason.
    """
    source = open_source(path)
    found = next((row for row in source.rows() if row.number >= number), None)
    if found is None or (number and found.number != number):
        raise UserError(f"{path.name} has no row in {source.facts.unit} {number}.", _range_hint(found))
    try:
        if found.value is None:
            raise RowError(found.problem)
        example = reader.read(found.value)
        row = encode_example(example, tokenizer, settings)
    except RowError as error:
        place = f"{path.name}:{found.number}"
        raise UserError(f"{place}: The row {error}.", "A run would set this row aside or refuse to start.") from error
    tokens = [tokenizer.decode([token], skip_special=False) for token in row.ids.tolist()]
    return Preview(source.facts, found.number, found.value, example, row, tokens)


def _range_hint(next_one: SourceRow | None) -> str:
    return f"The next row is {next_one.number}." if next_one else "It ends before that."


def _closed_gaps(kinds: list[str]) -> list[str]:
    """Characters that no token claims (spaces that belong to a neighbour) go with what stands before them."""
    last_token = max((at for at, kind in enumerate(kinds) if kind != "cut"), default=-1)
    first_token = next((at for at, kind in enumerate(kinds) if kind != "cut"), 0)
    for at in range(first_token + 1, last_token + 1):
        if kinds[at] == "cut":
            kinds[at] = kinds[at - 1]
    return kinds


def _grouped(text: str, kinds: list[str]) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or kinds[at] != kinds[start]:
            pieces.append((text[start:at], kinds[start]))
            start = at
    return pieces
