"""Adapters for toy models, and peft's own merge of them to compare with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def make_adapter(base: Path, folder: Path, config: Any, *, trained: bool = True, seed: int = 0) -> Path:
    """Write an adapter for the model in `base`; `trained` moves its weights at random, as training would."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapted = get_peft_model(model, config)
        for parameter in adapted.parameters():
            if trained and parameter.requires_grad:
                parameter.data += torch.randn_like(parameter) * 0.05
    adapted.save_pretrained(folder)
    return folder


def merge_with_peft(base: Path, adapter: Path, folder: Path) -> Path:
    """Merge in fp32 the usual way, all in memory, and save in the base's dtype with its tokenizer."""
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    merged.to(AutoConfig.from_pretrained(base).dtype).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "config.json"):
        if (base / name).is_file():
            shutil.copy(base / name, folder / name)
    return folder
