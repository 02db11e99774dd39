"""Experts summed with their adapters again in the backward pass: the same numbers, without all layers' sums at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Params4bit
from peft import LoraConfig, get_peft_model
from torch import nn

from studio.engine.adapters import load_frozen
from studio.engine.experts import make_stacks, reach, stacks
from studio.engine.prepared import Base
from studio.engine.tracker import Tracker
from studio.methods import METHODS
from studio.models.arithmetic import EXPERTS_BY_NAME
from studio.models.facts import read_facts
from tests.engine.test_fused import adapted, outcome
from tests.helpers.toy_models import FAMILIES, make_toy
from tests.unit.planner.samples import spec

LAYERS, EXPERTS, HIDDEN, WIDE = 4, 8, 64, 128


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
@pytest.mark.parametrize("bf16", [False, True])
def test_the_same_bits_in_less_memory(family: str, bf16: bool, tmp_path: Path) -> None:
    sizes = {"num_local_experts": EXPERTS} if family == "mixtral" else {"num_experts": EXPERTS}
    sizes |= {"intermediate_size": WIDE} if family == "mixtral" else {"moe_intermediate_size": WIDE}
    folder = make_toy(tmp_path / family, family, hidden_size=HIDDEN, num_hidden_layers=LAYERS, **sizes)
    found = []
    for sums_again in (False, True):
        model = adapted(folder)
        if bf16:
            model.to(torch.bfloat16)
        if sums_again:
            make_stacks(model, again=True)
        with Tracker() as tracker:
            found.append((*outcome(model, bf16=bf16), tracker.peak_bytes))
    (theirs, their_gradients, their_peak), (logits, gradients, peak) = found
    assert torch.equal(logits, theirs)
    assert any("experts" in name for name in gradients) and gradients.keys() == their_gradients.keys()
    for name, gradient in gradients.items():
        assert torch.equal(gradient, their_gradients[name]), name
    summed = 3 * EXPERTS * HIDDEN * WIDE * (2 if bf16 else 4)
    assert peak <= their_peak - (LAYERS - 2) * summed  # the last layer's are there all the same, going up and down


@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe", "deepseek_v3", "granitemoeshared", "lfm2_moe"])
def test_all_linear_adapters_are_what_the_planner_counts(family: str, tmp_path: Path) -> None:
    """Experts in every kind; what lies beside them where peft lets it be named, routers where it names them."""
    facts = read_facts(make_toy(tmp_path / family, family))
    draft = spec("method.rank=4")
    base = Base(facts.folder, "toy", torch.device("cpu"), precision="fp32", seed=0, activation_checkpointing=False)
    model = METHODS.get("lora").prepare(base, draft.method).model
    added = {name: parameter for name, parameter in model.named_parameters() if "lora_" in name}
    assert sum(parameter.numel() for parameter in added.values()) == METHODS.get("lora").estimate(
        draft.method, facts.shapes
    ).adapter
    assert sum(".experts." in name for name in added) == 4 * facts.shapes.expert_layers


def test_who_names_experts_is_as_peft_has_it() -> None:
    from peft.utils.transformers_weight_conversion import _MODEL_TO_CONVERSION_PATTERN, _MOE_TARGET_MODULE_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    theirs = {kind for kind, like in _MODEL_TO_CONVERSION_PATTERN.items() if like in _MOE_TARGET_MODULE_MAPPING}
    assert set(EXPERTS_BY_NAME) == theirs & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def test_an_adapter_that_is_off_is_left_off(tmp_path: Path) -> None:
    model = adapted(make_toy(tmp_path / "mixtral", "mixtral"))
    ids = torch.arange(12)[None]
    with torch.no_grad(), model.disable_adapter():
        plain = model(input_ids=ids).logits
    make_stacks(model, again=True)
    with torch.no_grad(), model.disable_adapter():
        assert torch.equal(model(input_ids=ids).logits, plain)
    with torch.no_grad():
        assert not torch.allclose(model(input_ids=ids).logits, plain)


@pytest.mark.parametrize("setting", ["method.dropout=0.1", "method.dora=true", "method.init=pissa"])
def test_what_experts_cannot_have_is_said_before_the_start(setting: str, tmp_path: Path) -> None:
    facts = read_facts(make_toy(tmp_path / "mixtral", "mixtral"))
    method = METHODS.get("lora")
    (found,) = method.problems(spec(setting).method, facts)
    assert found.path == setting.split("=")[0] and "experts" in found.message and "method.targets" in found.hint
    assert method.problems(spec(setting, 'method.targets=["q_proj","v_proj"]').method, facts) == []


MIXTURES = ["mixtral", "qwen2_moe", "qwen3_moe", "deepseek_v3", "granitemoeshared", "lfm2_moe", "gpt_oss"]


def quantised(folder: Path, targets: Any, *, packs_experts: bool) -> Any:
    """A model in 4 bits with an adapter; its experts packed, or the same numbers in fp32 stacks and peft's own way."""
    base = Base(folder, "toy", torch.device("cpu"), precision="fp32", seed=0, activation_checkpointing=False)
    model = load_frozen(base, quantise=True)
    found = stacks(model)
    assert found
    for name in found:
        path, _, last = name.rpartition(".")
        experts = model.get_submodule(path)
        parameter = experts._parameters[last]
        assert parameter.dtype == torch.uint8
        if not packs_experts:
            stack = dequantize_4bit(parameter.data, parameter.quant_state).view(experts.__dict__.pop(last).shape)
            experts._parameters[last] = nn.Parameter(stack, requires_grad=False)
    config = LoraConfig(r=4, lora_alpha=12, target_modules=targets)
    reach(model, config)
    torch.manual_seed(1)
    model = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    if packs_experts:
        make_stacks(model, again=True)
    return model


@pytest.mark.parametrize("family", MIXTURES)
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "o_proj", "kv_b_proj"]])
def test_packed_experts_are_the_same_numbers(family: str, targets: Any, tmp_path: Path) -> None:
    folder = make_toy(tmp_path / family, family)
    (theirs, their_gradients), (logits, gradients) = (
        outcome(quantised(folder, targets, packs_experts=packs)) for packs in (False, True)
    )
    torch.testing.assert_close(logits, theirs, rtol=1e-6, atol=1e-6)
    assert gradients and gradients.keys() == their_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, their_gradients[name], rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.parametrize("family", [family for family in FAMILIES if "mo" in family or "deep" in family])
def test_what_is_packed_is_what_the_planner_counts(family: str, tmp_path: Path) -> None:
    facts = read_facts(make_toy(tmp_path / family, family))
    base = Base(facts.folder, "toy", torch.device("cpu"), precision="bf16", seed=0, activation_checkpointing=False)
    model = load_frozen(base, quantise=True)
    packed = sum(p.quant_state.shape.numel() for p in model.parameters() if isinstance(p, Params4bit))
    estimate = METHODS.get("qlora").estimate(spec("method.key=qlora").method, facts.shapes)
    assert packed == estimate.quantised
