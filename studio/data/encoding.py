"""Examples to tokens with their loss mask: rendering, tokenising in batches, cutting, checking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from studio.data.conversation import Example, RowError
from studio.data.masking import Span, TrainOn, render_example
from studio.models.tokenizer import ChatTokenizer

if TYPE_CHECKING:
    import tokenizers

Ids = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
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
        offsets: (length, 2) character spans of the tokens in `text`.
    """

    ids: Ids
    trained: Mask
    num_cut: int
    text: str
    offsets: npt.NDArray[np.int64]

    @property
    def num_trained(self) -> int:
        """Tokens that count: the first of a row is predicted by nothing."""
        return int(np.count_nonzero(self.trained[1:]))


def encode_examples(
    examples: Sequence[Example], tokenizer: ChatTokenizer, settings: EncodingSettings
) -> list[EncodedRow | RowError]:
    """Encode a batch of rows; a row that cannot be used gives its `RowError` in its place."""
    prepared = [_prepare(example, tokenizer, settings) for example in examples]
    good = [item for item in prepared if not isinstance(item, RowError)]
    encodings = iter(tokenizer.backend.encode_batch([text for text, _ in good], add_special_tokens=False))
    results: list[EncodedRow | RowError] = []
    for example, item in zip(examples, prepared, strict=True):
        if isinstance(item, RowError):
            results.append(item)
        else:
            results.append(_finish(example, item, next(encodings), tokenizer, settings))
    return results


def encode_example(example: Example, tokenizer: ChatTokenizer, settings: EncodingSettings) -> EncodedRow:
    """Encode one row.

    Raises:
        RowError: it cannot be used.
    """
    result = encode_examples([example], tokenizer, settings)[0]
    if isinstance(result, RowError):
        raise result
    return result


def _prepare(
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
) -> EncodedRow | RowError:
    text, spans = item
    ids = np.array(encoding.ids, dtype=np.int32)
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    trained = token_mask(ids, offsets[:, 0], spans, text, tokenizer, cut_tail=settings.train_on != "everything")
    if not example.messages:
        ids, trained, offsets = _plain_text(ids, offsets, len(text), tokenizer)
    row = _cut(ids, trained, offsets, text, settings)
    return _why_nothing_is_trained(row, settings) if row.num_trained == 0 else row


def token_mask(
    ids: Ids,
    starts: npt.NDArray[np.int64],
    spans: Sequence[Span],
    text: str,
    tokenizer: ChatTokenizer,
    *,
    cut_tail: bool,
) -> Mask:
    """True for tokens to learn.

    A token belongs to a span when it *starts* inside it, also where it runs over the span's end. The token that
    ends the turn belongs to the answer even where the template's marks leave it out, since a model that never
    learns it never stops; white space behind it is not learned, since generation has ended there.
    """
    trained = np.zeros(len(ids), dtype=np.bool_)
    for start, end in spans:
        first, last = int(np.searchsorted(starts, start)), int(np.searchsorted(starts, end))
        if cut_tail and first < last:
            last = _turn_end(ids, starts, first, last, end, text, tokenizer.stop_ids)
        trained[first:last] = True
    return trained


def _turn_end(
    ids: Ids, starts: npt.NDArray[np.int64], first: int, last: int, end: int, text: str, stop_ids: frozenset[int]
) -> int:
    """One past the token that ends the turn whose tokens are `first:last`."""
    for at in range(last - 1, first - 1, -1):
        if int(ids[at]) in stop_ids:
            return at + 1
        if text[starts[at] : end].strip():
            break
    at = last
    while at < len(ids) - 1 and int(ids[at]) not in stop_ids and not text[starts[at] : starts[at + 1]].strip():
        at += 1
    return at + 1 if at < len(ids) and int(ids[at]) in stop_ids else last


def _plain_text(
    ids: Ids, offsets: npt.NDArray[np.int64], length: int, tokenizer: ChatTokenizer
) -> tuple[Ids, Mask, npt.NDArray[np.int64]]:
    """Plain text gets the tokens that this tokenizer puts around text, and an end so that the model learns to end."""
    before, behind = tokenizer.added_by_default
    if not behind and tokenizer.eos_id is not None:
        behind = (tokenizer.eos_id,)
    whole = np.concatenate([np.array(before, np.int32), ids, np.array(behind, np.int32)])
    edges = np.concatenate([np.zeros((len(before), 2), np.int64), offsets, np.full((len(behind), 2), length)])
    return whole, np.ones(len(whole), dtype=np.bool_), edges


def _cut(ids: Ids, trained: Mask, offsets: npt.NDArray[np.int64], text: str, settings: EncodingSettings) -> EncodedRow:
    over = len(ids) - settings.max_length if settings.max_length else 0
    if over <= 0:
        return EncodedRow(ids, trained, 0, text, offsets)
    kept = slice(over, None) if settings.truncation == "start" else slice(0, settings.max_length)
    return EncodedRow(ids[kept], trained[kept], over, text, offsets[kept])


def _why_nothing_is_trained(row: EncodedRow, settings: EncodingSettings) -> RowError:
    if row.num_cut:
        total = len(row.ids) + row.num_cut
        return RowError(f"is {total:,} tokens long and was cut at {settings.max_length:,}, before anything to learn")
    return RowError("has no token to learn from")


def as_lists(row: EncodedRow) -> dict[str, Any]:
    """JSON types, for `data render --json`."""
    return {
        "text": row.text,
        "ids": row.ids.tolist(),
        "trained": row.trained.tolist(),
        "offsets": row.offsets.tolist(),
        "num_cut": row.num_cut,
    }
