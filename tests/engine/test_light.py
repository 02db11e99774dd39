"""Light norms and gated parts: the same outcomes to the bit, the same gradients, and about half left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.fused import fuse
from studio.engine.light import lighten
from studio.engine.load import load_base
from tests.helpers.toy_models import FAMILIES, make_toy

_AS_THEY_ARE = {"LayerNorm", "GPT2MLP", "Qwen3NextRMSNormGated", "GraniteMoeSharedMLP", "Lfm2MoeMLP", "GptOssMLP"}
"""Norms and feed-forward parts of another kind."""
_IDS = torch.arange(40).view(2, 20) % 200


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_outcomes_are_equal_and_gradients_close(family: str, dtype: str, tmp_path: Path) -> None:
    folder = make_toy(tmp_path / family, family)
    plain, light = (load_base(folder, dtype=dtype) for _ in range(2))
    random = torch.get_rng_state()
    lighten(light)
    assert torch.equal(random, torch.get_rng_state())
    outs = [_pass(model) for model in (plain, light)]
    assert torch.equal(*outs)
    with torch.no_grad():
        assert torch.equal(*(model(input_ids=_IDS, use_cache=False).logits for model in (plain, light)))
    for (name, wanted), found in zip(plain.named_parameters(), light.parameters(), strict=True):
        if wanted.grad is not None and wanted.grad.norm() > 1e-6:
            gap = (wanted.grad - found.grad).float().norm() / wanted.grad.float().norm()
            assert gap < (1e-4 if dtype == "float32" else 0.02), name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_norm_and_gate_of_a_known_kind_is_light(family: str, tmp_path: Path) -> None:
    model = load_base(make_toy(tmp_path / family, family))
    lighten(model)
    kinds = {type(m).__name__ for m in model.modules() if "forward" not in vars(m)}
    assert {kind for kind in kinds if "Norm" in kind or kind.lower().endswith("mlp")} <= _AS_THEY_ARE


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("llama", {}),
        ("llama", {"lora_dropout": 0.2}),
        ("llama", {"use_dora": True}),
        ("qwen3", {}),
        ("gemma3", {"use_dora": True}),
        ("phi3", {"lora_dropout": 0.2}),
        ("deepseek_v3", {}),
    ],
)
def test_adapters_learn_the_same_from_inputs_made_again(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    folder = make_toy(tmp_path / family, family)
    plain, light = (_adapted(folder, settings) for _ in range(2))
    lighten(light)
    for model in (plain, light):
        torch.manual_seed(3)
        _pass(model)
    trained = 0
    for (name, wanted), found in zip(plain.named_parameters(), light.parameters(), strict=True):
        if wanted.requires_grad:
            trained += 1
            least = max(1e-7, 1e-6 * float(wanted.grad.abs().max()))  # sums of large numbers that all but cancel
            assert torch.allclose(wanted.grad, found.grad, rtol=1e-4, atol=least), name
            assert (wanted.grad - found.grad).norm() <= 2e-6 * wanted.grad.norm(), name
    assert trained


def test_half_is_left_behind(tmp_path: Path) -> None:
    """Under autocast, of layers alone; torch's hooks tell what a graph keeps."""
    folder = make_toy(tmp_path / "m", "llama", hidden_size=256, intermediate_size=704, num_hidden_layers=4)
    plain, light = (_adapted(folder, {}, "bfloat16") for _ in range(2))
    lighten(light)
    assert _left_behind(light) < 0.56 * _left_behind(plain)


def test_a_class_that_does_something_else_stays(tmp_path: Path) -> None:
    model: Any = load_base(make_toy(tmp_path / "m", "llama"))

    class OtherRMSNorm(type(model.model.norm)):  # type: ignore[misc]
        def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
            return super().forward(hidden_states) * 1.01

    class OtherMLP(type(model.model.layers[0].mlp)):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + x

    model.model.norm.__class__ = OtherRMSNorm
    model.model.layers[0].mlp.__class__ = OtherMLP
    lighten(model)
    assert "forward" not in vars(model.model.norm)
    assert "forward" not in vars(model.model.layers[0].mlp)
    assert "forward" in vars(model.model.layers[1].mlp)


def _adapted(folder: Path, settings: dict[str, Any], dtype: str = "float32") -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False, **settings)
    model = get_peft_model(load_base(folder, dtype=dtype), config)  # type: ignore[arg-type]
    fuse(model)
    return model.train()


def _pass(model: Any) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=_IDS, use_cache=False).logits
    torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), _IDS.flatten()).backward()
    return logits.detach()


def _left_behind(model: Any) -> int:
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.arange(256).view(1, 256) % 200
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept), torch.autocast("cpu", torch.bfloat16):
        out = model.base_model.model.model(input_ids=ids, use_cache=False).last_hidden_state
    assert out.requires_grad
    return sum(sizes.values())
