"""Character spans to tokens: which tokens of a text are learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from studio.data.masking import Span

if TYPE_CHECKING:
    import tokenizers

Ids = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


class TokenPlaces:
    """Where the tokens of one text begin."""

    def __init__(self, encoding: tokenizers.Encoding, count: int, text: str) -> None:
        self._encoding = encoding
        self._count = count
        self.text = text

    def start(self, at: int) -> int:
        """The first character of token `at`; the text's length behind the last token."""
        if at >= self._count:
            return len(self.text)
        edge = self._encoding.token_to_chars(at)
        assert edge is not None
        return int(edge[0])

    def first_from(self, character: int) -> int:
        """The first token that starts at `character` or behind it; the number of tokens when none does."""
        at = self._encoding.char_to_token(character) if character < len(self.text) else self._count
        if at is None:  # a character that no token holds, such as a space that the tokenizer drops
            at = 0
        while at < self._count and self.start(at) < character:
            at += 1
        return int(at)


def token_mask(
    ids: Ids, places: TokenPlaces, spans: Sequence[Span], stop_ids: frozenset[int], *, cut_tail: bool
) -> Mask:
    """True for tokens to learn.

    A token belongs to a span when it *starts* inside it, also where it runs over the span's end. The token that
    ends the turn belongs to the answer even where the template's marks leave it out, since a model that never
    learns it never stops; white space behind it is not learned, since generation has ended there.
    """
    trained = np.zeros(len(ids), dtype=np.bool_)
    for start, end in spans:
        first, last = places.first_from(start), places.first_from(end)
        if cut_tail and first < last:
            last = _turn_end(ids, places, first, last, end, stop_ids)
        trained[first:last] = True
    return trained


def _turn_end(ids: Ids, places: TokenPlaces, first: int, last: int, end: int, stop_ids: frozenset[int]) -> int:
    """One past the token that ends the turn whose tokens are `first:last`."""
    for at in range(last - 1, first - 1, -1):
        if int(ids[at]) in stop_ids:
            return at + 1
        if places.text[places.start(at) : end].strip():
            break
    at = last
    while at < len(ids) and int(ids[at]) not in stop_ids and _is_blank(places, at):
        at += 1
    return at + 1 if at < len(ids) and int(ids[at]) in stop_ids else last


def _is_blank(places: TokenPlaces, at: int) -> bool:
    return not places.text[places.start(at) : places.start(at + 1)].strip()
