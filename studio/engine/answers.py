"""Answers to many questions at once, always the likeliest token: for scoring a model, not for talking to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from studio.models.tokenizer import ChatTokenizer

_BATCH = 32


@torch.no_grad()
def answer_batch(
    model: nn.Module,
    tokenizer: ChatTokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int = 128,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """The greedy answer to each prompt, in the order of `prompts`.

    Args:
        model: a causal language model in evaluation mode, on one device.
        tokenizer: the model's.
        prompts: token ids, as `ChatTokenizer.encode_prompt` makes them.
        max_tokens: where an answer is cut.
        on_progress: (answered, in all) after each batch.
    """
    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))  # alike lengths waste least padding
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        texts = _answer([prompts[index] for index in chosen], model, tokenizer, max_tokens)
        for index, text in zip(chosen, texts, strict=True):
            answers[index] = text
        on_progress(start + len(chosen), len(order))
    return answers


def _answer(prompts: list[Sequence[int]], model: nn.Module, tokenizer: ChatTokenizer, max_tokens: int) -> list[str]:
    width = max(map(len, prompts))
    device = next(model.parameters()).device
    ids = torch.tensor([[tokenizer.pad_id] * (width - len(row)) + list(row) for row in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts], device=device)
    out = model.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=max_tokens,
        eos_token_id=sorted(tokenizer.stop_ids),
        pad_token_id=tokenizer.pad_id,
        use_cache=True,
    )
    return [tokenizer.decode(_until_stop(row[width:].tolist(), tokenizer)) for row in out]


def _until_stop(ids: list[int], tokenizer: ChatTokenizer) -> list[int]:
    end = next((index for index, token in enumerate(ids) if token in tokenizer.stop_ids), len(ids))
    return ids[:end]
