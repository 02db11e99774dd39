"""Opens whatever a person wants to talk to, and streams its answers as events. One answer at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Protocol

import psutil
import torch

from studio.chat.llama import LlamaChat
from studio.engine.generate import stream
from studio.engine.load import load_tuned
from studio.models.facts import read_facts
from studio.models.template import Messages
from studio.models.tokenizer import ChatTokenizer
from studio.project.tuned import Tuned, find_tuned
from studio.protocol.events import Event, Token
from studio.spec.sampling import Finish, Sampling


class Talker(Protocol):
    """A model in conversation.

    Attributes:
        name: for people.
        context_length: positions there is room for; 0 when it does not say.
        num_bytes: what its weights take in memory.
    """

    name: str
    context_length: int
    num_bytes: int

    def prompt(self, messages: Messages) -> tuple[str, int]:
        """What the model reads of a conversation, up to where its answer begins, and how many tokens that is."""

    def stream(
        self, messages: Messages, *, sampling: Sampling, is_cancelled: Callable[[], bool]
    ) -> Generator[str, None, Finish]:
        """Yield the answer in pieces; return how it ended."""


class TorchChat:
    """A model folder, with or without tuned weights, in torch."""

    def __init__(self, tuned: Tuned, device: str) -> None:
        """Load it; "auto" takes the GPU when there is one."""
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        self.name = tuned.name
        self._model = load_tuned(tuned.base, tuned.weights, dtype=_dtype(tuned, device), device=device)
        self._tokenizer = ChatTokenizer.load(tuned.base)
        self.context_length = read_facts(tuned.base).context_length
        self.num_bytes = sum(weight.nbytes for weight in self._model.parameters())

    def prompt(self, messages: Messages) -> tuple[str, int]:
        """See `ChatTokenizer.prompt`."""
        text = self._tokenizer.prompt(messages)
        return text, len(self._tokenizer.encode(text))

    def stream(
        self, messages: Messages, *, sampling: Sampling, is_cancelled: Callable[[], bool]
    ) -> Generator[str, None, Finish]:
        """See `studio.engine.generate.stream`."""
        prompt = self._tokenizer.encode_prompt(messages)
        return (yield from stream(self._model, self._tokenizer, prompt, sampling=sampling, is_cancelled=is_cancelled))


def _dtype(tuned: Tuned, device: str) -> str:
    """As stored on a GPU; fp32 on a processor where it fits, because most have no fast 16-bit arithmetic."""
    fits = read_facts(tuned.base).num_parameters * 4 < psutil.virtual_memory().available / 2
    return "float32" if device == "cpu" and fits else "auto"


def open_talker(arguments: dict[str, Any], on_progress: Callable[[float, float, str], None]) -> Talker:
    """The model that `source` names: a GGUF file by llama.cpp, all else in torch.

    Raises:
        UserError: it is not there or cannot be loaded.
    """
    source = str(arguments["source"])
    if source.lower().endswith(".gguf"):
        return LlamaChat(Path(source).expanduser())
    tuned = find_tuned(
        source,
        checkpoint=arguments.get("checkpoint"),
        base_only=bool(arguments.get("base")),
        on_progress=on_progress,
    )
    return TorchChat(tuned, str(arguments.get("device") or "auto"))


def answer(
    talker: Talker,
    messages: Messages,
    *,
    turn: int,
    sampling: Sampling,
    emit: Callable[[Event], None],
    is_cancelled: Callable[[], bool],
) -> None:
    """Stream one answer as `token` events; the last one says how it ended and how fast it was."""
    pieces = talker.stream(messages, sampling=sampling, is_cancelled=is_cancelled)
    start = time.monotonic()
    first = 0.0
    while True:
        try:
            piece = next(pieces)
        except StopIteration as end:
            finish: Finish = end.value
            break
        first = first or time.monotonic() - start
        emit(Token(turn=turn, text=piece))
    seconds = time.monotonic() - start
    figures = {
        "tokens": finish.num_tokens,
        "prompt_tokens": finish.num_prompt,
        "seconds": seconds,
        "first_seconds": first,
        # The first token waits for the whole prompt; the rate is that of the tokens behind it.
        "tokens_per_second": max(0, finish.num_tokens - 1) / max(1e-9, seconds - first),
    }
    emit(Token(turn=turn, text="", finish=finish.reason, figures=figures))
