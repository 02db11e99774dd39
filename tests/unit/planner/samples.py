"""Models and computers to plan with: published shapes, no files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.machine.resources import Gpu, Resources
from studio.models.arithmetic import measure
from studio.models.facts import ModelFacts
from studio.planner.machine import Machine
from studio.spec.run_spec import RunSpec
from studio.spec.values import set_values

LLAMA_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "tie_word_embeddings": False,
}
LLAMA_3B = {
    **LLAMA_8B,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 28,
    "num_attention_heads": 24,
    "head_dim": 128,
    "tie_word_embeddings": True,
}
LLAMA2_7B = {
    **LLAMA_8B,
    "intermediate_size": 11_008,
    "num_key_value_heads": 32,
    "vocab_size": 32_000,
}


def facts(config: dict[str, Any]) -> ModelFacts:
    """Facts of a Llama-like model that was never downloaded."""
    tensors = llama_tensors(config)
    shapes = measure(tensors, config)
    return ModelFacts(
        folder=Path("model"),
        architecture="LlamaForCausalLM",
        num_parameters=shapes.total,
        weight_bytes=2 * shapes.total,
        context_length=8192,
        num_layers=config["num_hidden_layers"],
        hidden_size=config["hidden_size"],
        vocab_size=config["vocab_size"],
        has_tokenizer=True,
        has_chat_template=True,
        config=config,
        shapes=shapes,
    )


def llama_tensors(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors such a model has."""
    hidden, wide, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    size = config.get("head_dim", hidden // heads)
    keys = config["num_key_value_heads"] * size
    layer = {
        "self_attn.q_proj.weight": (heads * size, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, heads * size),
        "mlp.gate_proj.weight": (wide, hidden),
        "mlp.up_proj.weight": (wide, hidden),
        "mlp.down_proj.weight": (hidden, wide),
        "input_layernorm.weight": (hidden,),
        "post_attention_layernorm.weight": (hidden,),
    }
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for at in range(config["num_hidden_layers"]):
        tensors |= {f"model.layers.{at}.{name}": shape for name, shape in layer.items()}
    tensors["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = (config["vocab_size"], hidden)
    return tensors


def machine(card_bytes: int = 0, ram: int = 32_000_000_000) -> Machine:
    """A computer with one card, or none."""
    cards = (Gpu(0, "Card", card_bytes, card_bytes),) if card_bytes else ()
    return Machine(Resources(cards, ram, ram, 10**12, 10**12, "CPU", 8))


def spec(*settings: str) -> RunSpec:
    """A draft."""
    draft = RunSpec.model_validate({"model": {"source": "model"}, "data": {"path": "rows.jsonl"}})
    return set_values(draft, settings)
