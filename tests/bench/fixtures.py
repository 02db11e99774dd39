"""Models and rows that every side of a training bench reads from disk, so that all see the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SIZES = {
    # name: layers, hidden, ffn, heads, key-value heads
    "tiny2": (2, 256, 768, 4, 2),
    "m100": (12, 768, 2048, 12, 4),
}
VOCABULARY = 4096


def make_model(folder: Path, size: str) -> Path:
    """A random Llama of a named size (3.5 or 82 million parameters), made once."""
    if (folder / "model.safetensors").is_file():
        return folder
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    layers, hidden, ffn, heads, kv_heads = SIZES[size]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_rows(path: Path, case: str, *, count: int, length: int = 256) -> Path:
    """Token rows of one case, as JSON lines {"ids", "labels"}.

    "even": rows of one length, all trained. "uneven": log-normal lengths, all trained. "prompts": long prompts of
    which the last sixteenth is trained.
    """
    draw = np.random.default_rng(7)
    with path.open("w") as file:
        for _ in range(count):
            size = length if case != "uneven" else int(np.clip(draw.lognormal(4.2, 0.7), 12, length))
            ids = draw.integers(4, VOCABULARY, size).tolist()
            start = size - size // 16 if case == "prompts" else 0
            file.write(json.dumps({"ids": ids, "labels": [-100] * start + ids[start:]}) + "\n")
    return path


def read_rows(path: Path) -> list[dict[str, list[int]]]:
    """What `make_rows` wrote."""
    return [json.loads(line) for line in path.open()]
