"""Loads models: base models from a folder (safetensors only, never remote code), with or without trained weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from studio.engine.lean import import_bitsandbytes
from studio.engine.out_of_memory import is_out_of_memory
from studio.engine.weightless import build, is_weightless
from studio.errors import UserError
from studio.models.facts import read_facts, weight_files
from studio.models.stored_weights import is_stored, open_stored


def load_base(
    folder: Path, *, dtype: str = "auto", device: str | torch.device = "cpu", quantise: bool = False
) -> nn.Module:
    """Load a causal language model.

    Args:
        folder: model folder with config.json and safetensors.
        dtype: "float32", "bfloat16", "float16", or "auto" for the dtype it is stored in.
        device: where its weights go.
        quantise: load linear layers as NF4 with double quantisation; arithmetic runs in `dtype`.

    Raises:
        UserError: weights are missing, pickled or damaged, or the architecture is unknown or needs remote code.
    """
    import_bitsandbytes()
    from transformers import AutoModelForCausalLM

    weight_files(folder)
    if is_weightless():
        wanted = torch.bfloat16 if dtype == "auto" else getattr(torch, dtype)
        model = build(folder, dtype=wanted, attention=attention_kind(folder), quantise=quantise)
        model.config.use_cache = False
        return model
    options: dict[str, Any] = {"dtype": dtype if dtype == "auto" else getattr(torch, dtype)}
    if quantise:
        from studio.engine.packed_experts import nf4  # bitsandbytes is not everywhere

        options["quantization_config"] = nf4(torch.bfloat16 if dtype == "auto" else options["dtype"])
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            attn_implementation=attention_kind(folder),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            device_map={"": str(device)},
            **options,
        )
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise  # another model is not the way out: see `ran_out`
        raise UserError(
            f"The model in {folder.name} cannot be loaded: {_first_line(error)}",
            "Choose a text-generation model with safetensors weights that needs no code of its own.",
        ) from error
    model.config.use_cache = False
    assert isinstance(model, nn.Module)
    return model


def load_tuned(
    base: Path, weights: Path | None, *, dtype: str = "auto", device: str | torch.device = "cpu"
) -> nn.Module:
    """Load a tuned model for inference: a full model folder, or an adapter on its base (None: the base alone)."""
    if weights is not None and is_stored(weights):
        return _load_stored(base, weights, dtype=dtype, device=device).eval()
    if weights is None or not is_adapter(weights):
        return load_base(weights or base, dtype=dtype, device=device).eval()
    from peft import PeftModel

    model = PeftModel.from_pretrained(load_base(base, dtype=dtype, device=device), weights, is_trainable=False)
    return model.eval()


def _load_stored(base: Path, weights: Path, *, dtype: str, device: str | torch.device) -> nn.Module:
    """The base with a streamed run's numbers in the place of its own, one matrix after the other."""
    model, stored = load_base(base, dtype=dtype, device=device), open_stored(weights)
    parameters, places, vectors = dict(model.named_parameters()), stored.matrices(), stored.vectors()
    with torch.no_grad():
        for name, (at, tensor) in places.items():
            parameters[name].copy_(stored.load(at, tensor))
        for name, vector in vectors.items():
            parameters[name].copy_(vector)
    return model


def keeps_exact(model: Any) -> Callable[[str], bool]:
    """Whether a tensor, by its name, has 32 bits in a model of 16, as transformers' own loader leaves it: routers'."""
    from transformers.core_model_loading import build_glob_alternation

    names = sorted(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    pattern = build_glob_alternation([*names])[0]
    return lambda name: bool(names) and pattern.search(name) is not None


def is_adapter(weights: Path) -> bool:
    """Whether a weights folder holds an adapter rather than a full model."""
    return (weights / "adapter_config.json").is_file()


def attention_kind(folder: Path) -> str:
    """Torch's fused attention, except where scores are capped (Gemma 2), which it would silently leave out, and where
    the model's own code does not go with it (GPT-OSS).
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig  # heavy

    if read_facts(folder).config.get("attn_logit_softcapping"):
        return "eager"
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    kind = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    return "sdpa" if getattr(kind, "_supports_sdpa", True) else "eager"


def _first_line(error: BaseException) -> str:
    """What the library says, or our own words where it speaks of its settings."""
    if "mismatched_sizes" in str(error):
        return "its weights do not have the shapes that its config.json names."
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
