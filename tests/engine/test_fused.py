"""The adapter's product added in one go, against peft's own way on the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from studio.engine.fused import fuse
from tests.helpers.toy_models import make_toy

IDS = torch.arange(40).view(2, 20) % 97


def adapted(folder: Path, **settings: Any) -> Any:
    """A toy model with an adapter whose product is not nothing."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    torch.manual_seed(1)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=12, target_modules="all-linear", **settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    return model


def outcome(model: Any, *, bf16: bool = False) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and the gradient of each trained tensor."""
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = model(input_ids=IDS, labels=IDS)
    out.loss.backward()
    return out.logits, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma2", "gpt2"])  # without and with biases, transposed weights
@pytest.mark.parametrize("settings", [{}, {"lora_dropout": 0.3}, {"use_rslora": True}])
def test_it_is_the_same(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    folder = make_toy(tmp_path / family, family)
    plain, fused = adapted(folder, **settings), adapted(folder, **settings)
    fuse(fused)
    layers = [m for m in fused.modules() if getattr(m, "lora_A", None)]
    assert layers and all(layer.lora_variant for layer in layers)
    logits, gradients = outcome(fused)
    wanted, theirs = outcome(plain)
    torch.testing.assert_close(logits, wanted, rtol=1e-5, atol=1e-5)
    assert gradients.keys() == theirs.keys() and len(gradients) == 2 * len(layers)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-4, atol=1e-6, msg=name)


def test_in_16_bits_it_is_as_near_the_truth(tmp_path: Path) -> None:
    folder = make_toy(tmp_path / "llama")
    plain, fused, exact = (adapted(folder) for _ in range(3))
    fuse(fused)
    truth = outcome(exact)[1]
    off = [
        sum(float((g.float() - truth[name]).norm()) for name, g in outcome(model, bf16=True)[1].items())
        for model in (fused, plain)
    ]
    assert off[0] < 1.1 * off[1]


def test_without_autocast_16_bit_weights_answer_as_before(tmp_path: Path) -> None:
    """Sample answers: the base in bf16, the adapter in fp32."""
    folder = make_toy(tmp_path / "llama")
    plain, fused = adapted(folder), adapted(folder)
    fuse(fused)
    for model in (plain, fused):
        for name, parameter in model.named_parameters():
            parameter.data = parameter.data.to(torch.float32 if "lora_" in name else torch.bfloat16)
    with torch.no_grad():
        torch.testing.assert_close(fused(input_ids=IDS).logits, plain(input_ids=IDS).logits)


def test_other_kinds_keep_their_own_way(tmp_path: Path) -> None:
    folder = make_toy(tmp_path / "llama")
    dora, same = adapted(folder, use_dora=True), adapted(folder, use_dora=True)
    fuse(dora)
    assert torch.equal(outcome(dora)[0], outcome(same)[0])
