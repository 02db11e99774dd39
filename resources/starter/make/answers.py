"""Answers of a model folder to a list of questions, greedily and in batches."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from .dialogue import Message


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model in float32 (bfloat16 is slow on most processors) with its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), tokenizer


@torch.inference_mode()
def answer_all(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, chats: Sequence[list[Message]], *, batch: int = 64
) -> list[str]:
    """One greedy answer per chat, in the order given; chats of like length share a batch."""
    prompts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    answers = [""] * len(prompts)
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        inputs = tokenizer([prompts[index] for index in part], return_tensors="pt", padding=True)
        made = model.generate(**inputs, do_sample=False, max_new_tokens=160)[:, inputs["input_ids"].shape[1] :]
        for index, text in zip(part, tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
            answers[index] = text
    return answers
