"""Endless training batches: conversations as token ids, sorted by length so that little is padding."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tokenizers import Tokenizer

from .dialogue import Message, chat
from .tokenizer import END, PAD, START

CHUNK = 3000
LONGEST = 384


@dataclass(frozen=True)
class Batch:
    """Rows of equal length; `targets` holds -100 where nothing is to be learnt (questions, padding)."""

    ids: list[list[int]]
    targets: list[list[int]]


def encode(messages: list[Message], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Token ids and targets; only the assistant's words and their end token are targets."""
    ids: list[int] = []
    targets: list[int] = []
    for message in messages:
        head = tokenizer.encode(f"{START}{message['role']}\n").ids
        body = tokenizer.encode(f"{message['content']}{END}").ids
        tail = tokenizer.encode("\n").ids
        ids += head + body + tail
        told = body if message["role"] == "assistant" else [-100] * len(body)
        targets += [-100] * len(head) + told + [-100] * len(tail)
    return ids, targets


def _padded(rows: list[tuple[list[int], list[int]]], pad: int) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    return Batch(
        [ids + [pad] * (width - len(ids)) for ids, _ in rows],
        [targets + [-100] * (width - len(targets)) for _, targets in rows],
    )


def batches(tokenizer: Tokenizer, *, seed: int, tokens: int) -> Iterator[Batch]:
    """Batches of about `tokens` tokens, for ever; the same seed gives the same batches."""
    rng = Random(seed)
    pad = tokenizer.token_to_id(PAD)
    while True:
        rows = sorted((encode(chat(rng), tokenizer) for _ in range(CHUNK)), key=lambda row: len(row[0]))
        cut: list[list[tuple[list[int], list[int]]]] = [[]]
        for row in rows:
            if len(row[0]) * (len(cut[-1]) + 1) > tokens:
                cut.append([])
            if len(row[0]) <= LONGEST:
                cut[-1].append(row)
        rng.shuffle(cut)
        yield from (_padded(part, pad) for part in cut if part)
