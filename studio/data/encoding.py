"""Examples to tokens with their loss mask: rendering, tokenising in batches, cutting, checking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from studio.data.conversation import Example, RowError
from studio.data.masking import Span, TrainOn, render_example
from studio.data.token_mask import Ids, Mask, TokenPlaces, token_mask
from studio.models.tokenizer import ChatTokenizer

if TYPE_CHECKING:
    import tokenizers

Edge = tuple[int, int]
# Several times longer than any context: tokenising a whole book for its first thousand tokens wastes minutes.
_MAX_CHARACTERS_A_TOKEN = 64


@dataclass(frozen=True, slots=True)
class EncodingSettings:
    """What decides a row's tokens besides row and tokenizer. `max_length` in tokens; 0 never cuts."""

    train_on: TrainOn = "answers"
    truncation: Literal["end", "start"] = "end"
    max_length: int = 0


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A row ready to learn from.

    Attributes:
        ids: (length,) token ids.
        trained: (length,) True where the token is to be predicted.
        num_cut: tokens that did not fit.
        text: what was tokenised.
        edges: character spans of the tokens in `text`; only where they were asked for.
    """

    ids: Ids
    trained: Mask
    num_cut: int
    text: str
    edges: tuple[Edge, ...] | None = None

    @property
    def num_trained(self) -> int:
        """Tokens that count: the first of a row is predicted by nothing."""
        return int(np.count_nonzero(self.trained[1:]))


@dataclass(frozen=True)
class RenderedBatch:
    """Rows on their way: rendered, not yet tokenised. A row that cannot be used is its `RowError` already."""

    examples: Sequence[Example]
    items: list[tuple[str, list[Span]] | RowError]

    @property
    def texts(self) -> list[str]:
        """What is left to tokenise, in order."""
        return [item[0] for item in self.items if not isinstance(item, RowError)]


def render_batch(examples: Sequence[Example], tokenizer: ChatTokenizer, settings: EncodingSettings) -> RenderedBatch:
    """The first half: examples to text and spans."""
    return RenderedBatch(examples, [_rendered(example, tokenizer, settings) for example in examples])


def mask_batch(
    batch: RenderedBatch,
    encodings: Sequence[tokenizers.Encoding],
    tokenizer: ChatTokenizer,
    settings: EncodingSettings,
    *,
    with_edges: bool = False,
) -> list[EncodedRow | RowError]:
    """The second half: tokens of the batch's texts to rows with their masks; a `RowError` in place of a bad row."""
    rest = iter(encodings)
    results: list[EncodedRow | RowError] = []
    for example, item in zip(batch.examples, batch.items, strict=True):
        if isinstance(item, RowError):
            results.append(item)
            continue
        row = _finish(example, item, next(rest), tokenizer, settings, with_edges)
        results.append(_why_nothing_is_trained(row, settings) if row.num_trained == 0 else row)
    return results


def encode_examples(
    examples: Sequence[Example], tokenizer: ChatTokenizer, settings: EncodingSettings, *, with_edges: bool = False
) -> list[EncodedRow | RowError]:
    """Encode a batch of rows; a row that cannot be used gives its `RowError` in its place."""
    batch = render_batch(examples, tokenizer, settings)
    return mask_batch(batch, tokenizer.encode_batch(batch.texts), tokenizer, settings, with_edges=with_edges)


def encode_example(example: Example, tokenizer: ChatTokenizer, settings: EncodingSettings) -> EncodedRow:
    """Encode one row, with the character spans of its tokens.

    Raises:
        RowError: it cannot be used.
    """
    result = encode_examples([example], tokenizer, settings, with_edges=True)[0]
    if isinstance(result, RowError):
        raise result
    return result


def _rendered(
    example: Example, tokenizer: ChatTokenizer, settings: EncodingSettings
) -> tuple[str, list[Span]] | RowError:
    try:
        if example.messages:
            text, spans = render_example(example, tokenizer, settings.train_on)
        else:
            text, spans = example.text, [(0, len(example.text))]
        return _checked(text, settings), spans
    except RowError as error:
        return error


def _checked(text: str, settings: EncodingSettings) -> str:
    if not text.strip():
        raise RowError("is empty")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowError(f"holds half a character (a lone surrogate) at character {error.start + 1}") from error
    limit = settings.max_length * _MAX_CHARACTERS_A_TOKEN
    if settings.max_length and len(text) > max(limit, 1_000_000):
        raise RowError(f"is {len(text):,} characters long, far beyond the longest row ({settings.max_length} tokens)")
    return text


def _finish(
    example: Example,
    item: tuple[str, list[Span]],
    encoding: tokenizers.Encoding,
    tokenizer: ChatTokenizer,
    settings: EncodingSettings,
    with_edges: bool,
) -> EncodedRow:
    text, spans = item
    ids = np.array(encoding.ids, dtype=np.int32)
    # Spans of all tokens as Python objects cost as much as the tokenising; a mask needs a few of them.
    edges = tuple(encoding.offsets) if with_edges else None
    places = TokenPlaces(encoding, len(ids), text)
    trained = token_mask(ids, places, spans, tokenizer.stop_ids, cut_tail=settings.train_on != "everything")
    row = EncodedRow(ids, trained, 0, text, edges)
    return _cut(row if example.messages else _plain_text(row, tokenizer), settings)


def _plain_text(row: EncodedRow, tokenizer: ChatTokenizer) -> EncodedRow:
    """Plain text gets the tokens that this tokenizer puts around text, and an end so that the model learns to end."""
    before, behind = tokenizer.added_by_default
    if not behind and tokenizer.eos_id is not None:
        behind = (tokenizer.eos_id,)
    ids = np.concatenate([np.array(before, np.int32), row.ids, np.array(behind, np.int32)])
    end = len(row.text)
    edges = None if row.edges is None else ((0, 0),) * len(before) + row.edges + ((end, end),) * len(behind)
    return EncodedRow(ids, np.ones(len(ids), dtype=np.bool_), 0, row.text, edges)


def _cut(row: EncodedRow, settings: EncodingSettings) -> EncodedRow:
    over = len(row.ids) - settings.max_length if settings.max_length else 0
    if over <= 0:
        return row
    kept = slice(over, None) if settings.truncation == "start" else slice(0, settings.max_length)
    edges = None if row.edges is None else row.edges[kept]
    return EncodedRow(row.ids[kept], row.trained[kept], over, row.text, edges)


def _why_nothing_is_trained(row: EncodedRow, settings: EncodingSettings) -> RowError:
    if row.num_cut:
        total = len(row.ids) + row.num_cut
        return RowError(f"is {total:,} tokens long and was cut at {settings.max_length:,}, before anything to learn")
    return RowError("has no token to learn from")
