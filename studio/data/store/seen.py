"""One row as the model sees it: every token with what becomes of it, and counts that add up to the whole row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from studio.data.conversation import Example, RowError
from studio.data.encoding import EncodedRow, EncodingSettings, encode_examples
from studio.data.tokenising import RowReader
from studio.models.tokenizer import ChatTokenizer

# Beyond this many tokens nobody reads on; more are counted, but neither sent nor laid out.
MOST_TOKENS = 12_000
TokenKind = Literal["trained", "read", "cut"]


@dataclass(frozen=True, slots=True)
class SeenToken:
    """A token of a row.

    Attributes:
        id: in the vocabulary.
        text: the characters of the row that it stands for; "" when a token before it stands for them already
            (one sign in several tokens).
        kind: learned, seen but not learned, or beyond the longest row.
        is_special: one of the tokenizer's own marks.
    """

    id: int
    text: str
    kind: TokenKind
    is_special: bool


@dataclass(frozen=True)
class SeenRow:
    """A rendered row.

    Attributes:
        example: what the format made of the row; None when it made nothing of it.
        tokens: all of its tokens, those cut off too; from the wire the first `MOST_TOKENS` of them.
        trained, read, cut: how many there are of each kind.
        problem: why a run would set the row aside; "" when it would not.
    """

    example: Example | None = None
    tokens: tuple[SeenToken, ...] = ()
    trained: int = 0
    read: int = 0
    cut: int = 0
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For the wire; the example stays behind, whoever has the row can read it again."""
        tokens = self.tokens[:MOST_TOKENS]
        return {
            "ids": [token.id for token in tokens],
            "texts": [token.text for token in tokens],
            "kinds": [token.kind for token in tokens],
            "specials": [token.is_special for token in tokens],
            "counts": [self.trained, self.read, self.cut],
            "problem": self.problem,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> SeenRow:
        """What `as_dict` wrote."""
        parts = zip(value["ids"], value["texts"], value["kinds"], value["specials"], strict=True)
        trained, read, cut = value["counts"]
        return cls(None, tuple(SeenToken(*part) for part in parts), trained, read, cut, value["problem"])


def see_row(
    value: Mapping[str, Any], reader: RowReader, tokenizer: ChatTokenizer, settings: EncodingSettings
) -> SeenRow:
    """Render and tokenise a row exactly as training does. What keeps it from being used is told, not raised."""
    try:
        example = reader.read(value)
    except RowError as error:
        return SeenRow(problem=str(error))
    whole, used = (
        encode_examples([example], tokenizer, one, with_edges=True)[0]
        for one in (replace(settings, max_length=0), settings)
    )
    problem = str(used) if isinstance(used, RowError) else ""
    if isinstance(whole, RowError):
        return SeenRow(example, problem=problem or str(whole))
    return _counted(example, tuple(_tokens(whole, tokenizer, settings)), problem)


def _counted(example: Example, tokens: tuple[SeenToken, ...], problem: str) -> SeenRow:
    kinds = [token.kind for token in tokens]
    return SeenRow(example, tokens, kinds.count("trained"), kinds.count("read"), kinds.count("cut"), problem)


def _tokens(row: EncodedRow, tokenizer: ChatTokenizer, settings: EncodingSettings) -> Iterator[SeenToken]:
    assert row.edges is not None
    kept = _kept(len(row.ids), settings)
    specials = special_ids(tokenizer)
    reached = 0
    for at, (token, trained, (start, end)) in enumerate(
        zip(row.ids.tolist(), row.trained.tolist(), row.edges, strict=True)
    ):
        # What stands between two tokens (a space that the tokenizer swallowed) is shown with the second one.
        text = row.text[reached:end]
        reached = max(reached, end)
        if not text and end == start:
            text = tokenizer.decode([token], skip_special=False)  # put there by the tokenizer, not in the text
        # The first token that is kept is predicted by nothing.
        kind: TokenKind = "cut" if at not in kept else "trained" if trained and at > kept.start else "read"
        yield SeenToken(token, text, kind, token in specials)


def _kept(count: int, settings: EncodingSettings) -> range:
    over = max(0, count - settings.max_length) if settings.max_length else 0
    return range(over, count) if settings.truncation == "start" else range(count - over)


def special_ids(tokenizer: ChatTokenizer) -> frozenset[int]:
    """The tokenizer's own marks."""
    added = tokenizer.backend.get_added_tokens_decoder()
    return frozenset(token for token, facts in added.items() if facts.special)
