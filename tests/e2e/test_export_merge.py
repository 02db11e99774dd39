"""Merging one module at a time: the same bytes as peft's merge of the whole model, for every kind of method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import UserError
from studio.export.merge import MergedTensors, open_tensors
from studio.export.plain_lora import PlainLora
from studio.export.tensors import FolderTensors
from tests.helpers.toy_adapters import make_adapter, merge_with_peft
from tests.helpers.toy_models import FAMILIES, make_toy

ALL = "all-linear"
SOME = ["q_proj", "v_proj", "down_proj"]
METHODS: dict[str, Callable[[], Any]] = {
    "rslora": lambda: peft.LoraConfig(r=4, use_rslora=True, target_modules=SOME),
    "dora": lambda: peft.LoraConfig(r=4, use_dora=True, target_modules=SOME),
    "lora with bias": lambda: peft.LoraConfig(r=4, lora_bias=True, target_modules=["q_proj"]),
    "lora on embedding and head": lambda: peft.LoraConfig(r=4, target_modules=[*SOME, "embed_tokens", "lm_head"]),
    "trained embedding and norm": lambda: peft.LoraConfig(
        target_modules=SOME, modules_to_save=["embed_tokens", "norm"]
    ),
    "trained tokens": lambda: peft.LoraConfig(target_modules=SOME, trainable_token_indices=[1, 2, 5]),
    "adalora": lambda: peft.AdaLoraConfig(total_step=10, target_modules=SOME),
    "oft": lambda: peft.OFTConfig(r=4, oft_block_size=0, target_modules=SOME),
    "boft": lambda: peft.BOFTConfig(boft_block_size=4, target_modules=SOME),
    "vera": lambda: peft.VeraConfig(r=8, target_modules=["q_proj", "o_proj"]),
    "randlora": lambda: peft.RandLoraConfig(r=8, target_modules=["q_proj", "o_proj"]),
    "miss": lambda: peft.MissConfig(r=8, target_modules=SOME),
    "shira": lambda: peft.ShiraConfig(r=4, target_modules=SOME),
    "ia3": lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "norms": lambda: peft.LNTuningConfig(target_modules=["input_layernorm", "norm"]),
    "hira": lambda: peft.HiraConfig(r=4, target_modules=SOME),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_merges_to_the_same_bytes(tmp_path: Path, family: str) -> None:
    _assert_equal_merge(tmp_path, family, peft.LoraConfig(r=4, target_modules=ALL))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_merges_to_the_same_bytes(tmp_path: Path, method: str) -> None:
    _assert_equal_merge(tmp_path, "qwen2" if "bias" in method else "llama", METHODS[method]())


def test_bf16_base_is_merged_in_fp32_and_stored_in_bf16(tmp_path: Path) -> None:
    _assert_equal_merge(tmp_path, "llama", peft.LoraConfig(r=4, target_modules=ALL), dtype="bfloat16")
    assert isinstance(open_tensors(tmp_path / "base", tmp_path / "adapter"), PlainLora)


def test_tied_embedding_trained_on_its_own_is_untied_and_the_head_stays(tmp_path: Path) -> None:
    base = make_toy(tmp_path / "base", "qwen3")
    adapter = make_adapter(base, tmp_path / "adapter", peft.LoraConfig(r=4, target_modules=["embed_tokens"]))
    merged = MergedTensors(base, adapter)
    original = FolderTensors(base).load("model.embed_tokens.weight")
    assert merged.config_changes == {"tie_word_embeddings": False}
    assert torch.equal(merged.load("lm_head.weight"), original)
    assert not torch.equal(merged.load("model.embed_tokens.weight"), original)


def test_adapter_that_learned_nothing_is_an_error(tmp_path: Path) -> None:
    base = make_toy(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter", peft.LoraConfig(target_modules=ALL), trained=False)
    for merged in (MergedTensors(base, adapter), open_tensors(base, adapter)):
        for name in merged.headers:
            merged.load(name)
        with pytest.raises(UserError, match="changed no weight"):
            merged.assert_effect()


def test_wrong_base_damaged_and_unmergeable_adapters_are_refused(tmp_path: Path) -> None:
    base, other = make_toy(tmp_path / "base"), make_toy(tmp_path / "other", hidden_size=96)
    adapter = make_adapter(base, tmp_path / "adapter", peft.LoraConfig(target_modules=ALL))
    with pytest.raises(UserError, match=r"does not fit other: size mismatch"):
        open_tensors(other, adapter)
    prefix = make_adapter(
        base, tmp_path / "prefix", peft.PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
    )
    with pytest.raises(UserError, match="cannot be merged"):
        open_tensors(base, prefix)
    tensors = load_file(adapter / "adapter_model.safetensors")
    name = next(iter(tensors))
    save_file(
        {**tensors, "base_model.model.nowhere.lora_A.weight": torch.ones(1)}, adapter / "adapter_model.safetensors"
    )
    with pytest.raises(UserError, match="belong to no part"):
        open_tensors(base, adapter)
    save_file({key: value for key, value in tensors.items() if key != name}, adapter / "adapter_model.safetensors")
    with pytest.raises(UserError, match="not in its file"):
        open_tensors(base, adapter)


def _assert_equal_merge(folder: Path, family: str, config: Any, **overrides: Any) -> None:
    base = make_toy(folder / "base", family, **overrides)
    adapter = make_adapter(base, folder / "adapter", config)
    theirs = FolderTensors(merge_with_peft(base, adapter, folder / "merged"))
    ours, quick = MergedTensors(base, adapter), open_tensors(base, adapter)
    assert set(ours.headers) == set(quick.headers) == set(theirs.headers)
    for name in ours.headers:
        assert ours.load(name).dtype == quick.load(name).dtype == theirs.load(name).dtype, name
        assert torch.equal(ours.load(name), theirs.load(name)), name
        assert torch.equal(quick.load(name), theirs.load(name)), name
    quick.assert_effect()
    assert ours.changed == set(ours.merged_names) - _untouched(family, ours)


def _untouched(family: str, merged: MergedTensors) -> set[str]:
    """Biases ride along in a merged module without changing, and what corrects a router's choice."""
    return {name for name in merged.merged_names if name.endswith("bias") and name not in merged.changed}
