"""A few fixed held-out prompts, answered at each evaluation: one watches the model learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studio.data.token_rows import TokenRows
from studio.engine.generate import generate
from studio.engine.lm_loss import LmLoss
from studio.models.tokenizer import ChatTokenizer
from studio.spec.sampling import Sampling

MAX_TOKENS = 96


@dataclass(frozen=True)
class Prompt:
    """What the model is asked: for people, and as tokens."""

    text: str
    ids: list[int]


def pick_prompts(rows: TokenRows, tokenizer: ChatTokenizer, *, count: int) -> list[Prompt]:
    """The beginnings of the first held-out rows, up to the first token that is learned."""
    prompts: list[Prompt] = []
    for at in range(min(count, len(rows))):
        row = rows.row(at)
        trained = np.flatnonzero(row.trained)
        cut = int(trained[0]) if len(trained) and trained[0] > 0 else max(1, len(row.ids) // 4)
        ids = [int(token) for token in row.ids[:cut]]
        prompts.append(Prompt(text=tokenizer.decode(ids).strip(), ids=ids))
    return prompts


def answer_all(loss: LmLoss, tokenizer: ChatTokenizer, prompts: list[Prompt]) -> list[tuple[str, str]]:
    """(prompt, answer) pairs from the model as it is now. Greedy, so no random state is touched."""
    sampling = Sampling(temperature=0.0, max_tokens=MAX_TOKENS)
    with loss.generating() as model:
        return [(p.text, generate(model, tokenizer, p.ids, sampling=sampling)) for p in prompts]
