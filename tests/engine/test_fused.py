"""The adapter's product added in one go, against peft's own way on the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM

from studio.engine.fused import _Added, _Fused, _FusedDora, _Settings, fuse, set_lengths
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
@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_it_is_the_same(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    folder = make_toy(tmp_path / family, family)
    plain, fused = adapted(folder, **settings), adapted(folder, **settings)
    fuse(fused)
    layers = [m for m in fused.modules() if getattr(m, "lora_A", None)]
    ways = {way for layer in layers for way in layer.lora_variant.values()}
    assert ways == {_FusedDora if settings.get("use_dora") else _Fused}
    logits, gradients = outcome(fused)
    wanted, theirs = outcome(plain)
    torch.testing.assert_close(logits, wanted, rtol=1e-5, atol=1e-5)
    assert gradients.keys() == theirs.keys() and len(gradients) >= 2 * len(layers)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(("family", "settings", "bound"), [("llama", {}, 1.1), ("qwen2", {"use_dora": True}, 1.4)])
def test_in_16_bits_it_is_as_near_the_truth(
    family: str, settings: dict[str, Any], bound: float, tmp_path: Path
) -> None:
    """DoRA's gradient is rounded once more than peft's, as it is stretched in place."""
    folder = make_toy(tmp_path / family, family)
    plain, fused, exact = (adapted(folder, **settings) for _ in range(3))
    fuse(fused)
    truth = outcome(exact)[1]
    off = [
        sum(float((g.float() - truth[name]).norm()) for name, g in outcome(model, bf16=True)[1].items())
        for model in (fused, plain)
    ]
    assert off[0] < bound * off[1]


@pytest.mark.parametrize(("settings", "within"), [({}, 0.0), ({"use_dora": True}, 0.05)])
def test_without_autocast_16_bit_weights_answer_as_before(
    settings: dict[str, Any], within: float, tmp_path: Path
) -> None:
    """Sample answers: the base in bf16, the adapter in fp32. (DoRA's lengths are exact here, peft's are rounded.)"""
    folder = make_toy(tmp_path / "qwen2", "qwen2")
    plain, fused = adapted(folder, **settings), adapted(folder, **settings)
    fuse(fused)
    for model in (plain, fused):
        for name, parameter in model.named_parameters():
            parameter.data = parameter.data.to(torch.float32 if "lora_" in name else torch.bfloat16)
    with torch.no_grad():
        ours, theirs = fused(input_ids=IDS).logits, plain(input_ids=IDS).logits
    torch.testing.assert_close(ours, theirs, rtol=within or None, atol=within or None)


@pytest.mark.parametrize("hidden", [0.0, 0.4])
@pytest.mark.parametrize("is_dora", [False, True])
@pytest.mark.parametrize("is_whole", [False, True])
def test_gradients_are_those_of_the_function(hidden: float, is_dora: bool, is_whole: bool) -> None:
    """By finite differences, with hidden inputs, lengths and biases, and with the base's own graph and without."""
    generator = torch.Generator().manual_seed(0)
    x, weight, down, up, stretch, bias = (
        torch.randn(*shape, dtype=torch.float64, generator=generator)
        for shape in ((2, 3, 5), (4, 5), (2, 5), (4, 2), (4,), (4,))
    )

    def function(x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, stretch: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        result = nn.functional.linear(x, weight, bias)
        settings = _Settings(0.7, hidden, bias)
        given = (result.detach(), weight) if is_whole else (result, None)
        out: torch.Tensor = _Added.apply(given[0], x, down, up, stretch if is_dora else None, given[1], settings)
        return out + 0 * stretch.sum()

    inputs = [tensor.requires_grad_() for tensor in (x, down, up, stretch)]
    assert torch.autograd.gradcheck(function, inputs)


def test_hidden_inputs_are_nothing_and_others_make_up_for_them() -> None:
    x, eye = torch.rand(50, 40) + 1, torch.eye(40)
    out: torch.Tensor = _Added.apply(torch.zeros(50, 40), x, eye, eye, None, None, _Settings(1.0, 0.25, None))
    share = (out / x).flatten()
    assert set(share.mul(100).round().tolist()) == {0.0, 133.0}
    assert float((share == 0).float().mean()) == pytest.approx(0.25, abs=0.04)


def test_a_row_that_is_nothing_in_the_base_stays_a_number(tmp_path: Path) -> None:
    """Some models hold such rows; peft divides by their length."""
    model = AutoModelForCausalLM.from_pretrained(make_toy(tmp_path / "llama"))
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight[3] = 0
    model = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", use_dora=True))
    fuse(model)
    logits, gradients = outcome(model)
    assert torch.isfinite(logits).all() and all(torch.isfinite(g).all() for g in gradients.values())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_dora_begins_as_the_base(family: str, tmp_path: Path) -> None:
    """peft's lengths are rounded to the base's 16 bits, which its first outputs show."""
    base = AutoModelForCausalLM.from_pretrained(make_toy(tmp_path / family, family), dtype=torch.bfloat16)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        wanted = base(input_ids=IDS).logits
        model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", use_dora=True))
        set_lengths(model)
        fuse(model)
        assert torch.equal(model(input_ids=IDS).logits, wanted)


@pytest.mark.parametrize("settings", [{"lora_dropout": 0.3}, {"use_dora": True}])
def test_recomputed_layers_give_the_same_gradients(settings: dict[str, Any], tmp_path: Path) -> None:
    """Hidden inputs are drawn again as they were."""
    folder = make_toy(tmp_path / "llama")
    kept, recomputed = adapted(folder, **settings), adapted(folder, **settings)
    recomputed.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for model in (kept, recomputed):
        fuse(model)
        model.train()
    theirs = outcome(kept)[1]
    for name, gradient in outcome(recomputed)[1].items():
        assert torch.equal(gradient, theirs[name]), name
