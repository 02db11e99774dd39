"""Tiny random models with a real tokenizer, made on the spot: what tests train, export and chat with.

Not here: anything trained; these answer gibberish (see resources/starter for a model that talks).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.helpers.toy_tokenizers import write_bpe_tokenizer, write_sentencepiece_tokenizer

_SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
_MIXED: dict[str, Any] = {**_SMALL, "num_experts_per_tok": 2}
# A dense layer first, then experts and a part that every token goes through.
_AFTER_DENSE: dict[str, Any] = {
    **_MIXED,
    "num_hidden_layers": 3,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "n_shared_experts": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
_LATENT: dict[str, Any] = {
    **_AFTER_DENSE,
    "q_lora_rank": 48,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 16,
    "v_head_dim": 24,
}
_GPT2: dict[str, Any] = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "n_ctx": 512}

# family -> (transformers' config class, its settings, kind of tokenizer that its converter reads)
FAMILIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "llama": ("LlamaConfig", _SMALL, "bpe"),
    "qwen2": ("Qwen2Config", _SMALL, "bpe"),
    "qwen3": ("Qwen3Config", {**_SMALL, "head_dim": 16, "tie_word_embeddings": True}, "bpe"),
    "mistral": ("MistralConfig", {**_SMALL, "sliding_window": None}, "bpe"),
    "gemma2": ("Gemma2Config", {**_SMALL, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 64}, "spm"),
    "gemma3": ("Gemma3TextConfig", {**_SMALL, "head_dim": 16, "query_pre_attn_scalar": 16}, "spm"),
    "phi3": ("Phi3Config", {**_SMALL, "num_key_value_heads": 4, "sliding_window": 256}, "spm"),
    "gpt2": ("GPT2Config", _GPT2, "bpe"),
    "mixtral": ("MixtralConfig", {**_SMALL, "num_local_experts": 4, "sliding_window": None}, "bpe"),
    "qwen3_moe": (
        "Qwen3MoeConfig",
        {
            **_SMALL,
            "head_dim": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 64,
            "norm_topk_prob": True,  # as in all published models; llama.cpp knows no other way
        },
        "bpe",
    ),
    "qwen2_moe": (
        "Qwen2MoeConfig",
        {**_MIXED, "num_experts": 4, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 96},
        "bpe",
    ),
    "qwen3_next": (
        "Qwen3NextConfig",
        {
            **_MIXED,
            "num_hidden_layers": 4,
            "head_dim": 16,
            "num_experts": 4,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 96,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
        },
        "bpe",
    ),
    "deepseek_v2": ("DeepseekV2Config", _LATENT, "bpe"),
    # Published configs say how experts are scored; llama.cpp takes another way where none is said.
    "deepseek_v3": ("DeepseekV3Config", {**_LATENT, "scoring_func": "sigmoid"}, "bpe"),
    "dots1": ("Dots1Config", {**_AFTER_DENSE, "scoring_func": "sigmoid"}, "bpe"),
    "glm4_moe": ("Glm4MoeConfig", {**_AFTER_DENSE, "head_dim": 16}, "bpe"),
    "ernie4_5_moe": (
        "Ernie4_5_MoeConfig",
        {
            **_SMALL,
            "num_hidden_layers": 3,
            "moe_num_experts": 4,
            "moe_k": 2,
            "moe_intermediate_size": 32,
            "moe_layer_start_index": 1,
        },
        "spm",
    ),
    "olmoe": ("OlmoeConfig", {**_MIXED, "num_key_value_heads": 4, "num_experts": 4}, "bpe"),
    "granitemoe": ("GraniteMoeConfig", {**_MIXED, "num_local_experts": 4}, "bpe"),
    "granitemoeshared": (
        "GraniteMoeSharedConfig",
        {**_MIXED, "num_local_experts": 4, "shared_intermediate_size": 96},
        "bpe",
    ),
    "lfm2_moe": (
        "Lfm2MoeConfig",
        {
            **_MIXED,
            "num_hidden_layers": 3,
            "num_experts": 4,
            "moe_intermediate_size": 32,
            "num_dense_layers": 1,
            "layer_types": ["conv", "full_attention", "full_attention"],
        },
        "bpe",
    ),
    "gpt_oss": (
        "GptOssConfig",
        {
            **_MIXED,
            "head_dim": 16,
            "num_local_experts": 4,
            "sliding_window": 64,
            "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"},
        },
        "bpe",
    ),
}


def make_toy(folder: Path, family: str = "llama", seed: int = 0, **overrides: Any) -> Path:
    """Write a complete model folder with random weights (seeded) and return it.

    Args:
        folder: made if it is not there.
        family: a key of `FAMILIES`.
        seed: of the weights; the tokenizer is always the same.
        overrides: settings of the family's config (hidden_size=256, tie_word_embeddings=True, dtype="bfloat16", ...).
            `tokenizer="bpe"|"spm"` chooses the other kind of tokenizer, `initializer_range` spreads the weights.
    """
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    class_name, settings, kind = FAMILIES[family]
    ids = _write_tokenizer(folder, overrides.pop("tokenizer", kind), dummy_prefix=family == "phi3")
    dtype = getattr(torch, overrides.pop("dtype", "float32"))
    config = getattr(transformers, class_name)(**{**settings, **ids, **overrides})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config).to(dtype)
        _fill_buffers(model)
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=ids["eos_token_id"], pad_token_id=ids["pad_token_id"]
    )
    model.save_pretrained(folder)
    _keep_special_ids(folder, ids)
    return folder


def _fill_buffers(model: Any) -> None:
    """What chooses between experts and is never trained; transformers begins with zeros."""
    for name in {*model.state_dict()} - {name for name, _ in model.named_parameters(remove_duplicate=False)}:
        model.get_buffer(name).normal_(0, 0.1)


def _write_tokenizer(folder: Path, kind: str, *, dummy_prefix: bool) -> dict[str, int]:
    """Write the tokenizer files; config settings that follow from it (vocabulary rounded up as real models do)."""
    if kind == "spm":
        size, ids = write_sentencepiece_tokenizer(folder, dummy_prefix=dummy_prefix)
    else:
        size, ids = write_bpe_tokenizer(folder)
    return {"vocab_size": -(-size // 32) * 32, **ids}


def _keep_special_ids(folder: Path, ids: dict[str, int]) -> None:
    """Some configs drop special ids that equal their defaults; readers of the file alone want them said."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    special = {name: value for name, value in ids.items() if name.endswith("_token_id")}
    path.write_text(json.dumps({**config, **special}, indent=2), encoding="utf-8")
