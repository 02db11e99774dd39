"""Answers from a model in torch: token by token with a key-value cache, streamed as whole characters."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from studio.engine.sampling import make_generator, pick
from studio.errors import UserError
from studio.spec.sampling import GREEDY, Finish, Sampling


class Decoder(Protocol):
    """What generation needs of a tokenizer (`ChatTokenizer` has it)."""

    @property
    def stop_ids(self) -> frozenset[int]: ...

    def decode(self, ids: list[int], *, skip_special: bool = True) -> str: ...


def stream(
    model: nn.Module,
    tokenizer: Decoder,
    prompt_ids: list[int],
    *,
    sampling: Sampling = GREEDY,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Generator[str, None, Finish]:
    """Yield the answer in pieces that join to its text; the generator returns how it ended.

    The model is put into evaluation mode while this runs and back afterwards. Memory: the key-value cache of prompt
    and answer, freed at the end.

    Raises:
        UserError: the prompt is empty or leaves no room in the model's context.
    """
    limit = min(sampling.max_tokens, _room(model, prompt_ids))
    text = TextStream(tokenizer)
    tokens = _tokens(model, prompt_ids, sampling)
    reason: Any = "length"
    with _evaluating(model):
        for _ in range(limit):
            if is_cancelled():
                reason = "cancelled"
                break
            token = next(tokens)
            if token in tokenizer.stop_ids:
                reason = "stop"
                break
            if piece := text.push(token):
                yield piece
        tokens.close()
    if rest := text.flush():
        yield rest
    return Finish(reason, len(text.ids), len(prompt_ids))


def generate(
    model: nn.Module,
    tokenizer: Decoder,
    prompt_ids: list[int],
    *,
    sampling: Sampling = GREEDY,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> str:
    """The whole answer as one string."""
    return "".join(stream(model, tokenizer, prompt_ids, sampling=sampling, is_cancelled=is_cancelled))


class TextStream:
    """Turns tokens into text piece by piece, holding back what is no whole character yet.

    A token may hold part of a character, and a tokenizer may write a token differently after another one. So each
    piece is the difference of two decodings that start at the same earlier token.
    """

    def __init__(self, tokenizer: Decoder) -> None:
        self.ids: list[int] = []
        self._tokenizer = tokenizer
        self._start = 0  # where both decodings start
        self._shown = 0  # tokens whose text has been given out

    def push(self, token: int) -> str:
        """Add a token; the new text, "" while a character is incomplete."""
        self.ids.append(token)
        piece = self._pending()
        return "" if piece.endswith("\ufffd") else self._take(piece)

    def flush(self) -> str:
        """What is still held back, complete or not."""
        return self._take(self._pending())

    def _pending(self) -> str:
        shown = self._tokenizer.decode(self.ids[self._start : self._shown])
        return self._tokenizer.decode(self.ids[self._start :])[len(shown) :]

    def _take(self, piece: str) -> str:
        if piece:
            self._start, self._shown = self._shown, len(self.ids)
        return piece


def _tokens(model: nn.Module, prompt_ids: list[int], sampling: Sampling) -> Generator[int, None, None]:
    """Tokens without end, each drawn when it is asked for."""
    device = next(model.parameters()).device
    generator = make_generator(sampling, device)
    history, fresh, cache = list(prompt_ids), list(prompt_ids), None
    while True:
        logits, cache = _forward(model, torch.tensor([fresh], device=device), cache)
        token = pick(logits, sampling=sampling, recent=history, generator=generator)
        history.append(token)
        fresh = [token]
        yield token


@torch.no_grad()
def _forward(model: nn.Module, input_ids: torch.Tensor, cache: Any) -> tuple[torch.Tensor, Any]:
    """Logits (vocabulary,) after the last token, and the grown cache."""
    options = {"logits_to_keep": 1} if _can_keep_last(model) else {}
    output = model(input_ids=input_ids, past_key_values=cache, use_cache=True, **options)
    return output.logits[0, -1], output.past_key_values


def _can_keep_last(model: nn.Module) -> bool:
    """Whether the forward can skip the logits of all positions but the last (a long prompt's would fill memory)."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    supports = getattr(inner, "_supports_logits_to_keep", None)
    return bool(supports and supports())


def _room(model: Any, prompt_ids: list[int]) -> int:
    if not prompt_ids:
        raise UserError("There is nothing to answer: the prompt has no tokens.")
    config = model.config.get_text_config()
    length = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 1 << 30
    if len(prompt_ids) >= length:
        raise UserError(
            f"The conversation is too long: {len(prompt_ids)} tokens, the model reads {length}.",
            "Start a new conversation or shorten it.",
        )
    return int(length - len(prompt_ids))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout off while the block runs; each module gets its own mode back (frozen parts may differ)."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
