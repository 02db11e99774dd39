"""Mixtures of experts read from names and shapes alone: what a token goes through, and layers of several kinds."""

from __future__ import annotations

from typing import Any

import pytest

from studio.methods import Trained
from studio.models.arithmetic import measure
from studio.planner.activations import MicroBatch, kept, layer_bytes

Tensors = dict[str, list[int]]
HIDDEN, HEADS = 32, 4


def mlp(prefix: str, width: int) -> Tensors:
    sides = {name: [width, HIDDEN] for name in ("gate_proj", "up_proj")}
    return {f"{prefix}.{name}.weight": shape for name, shape in {**sides, "down_proj": [HIDDEN, width]}.items()}


def latent_attention(prefix: str) -> Tensors:
    shapes = {
        "q_a_proj": [12, HIDDEN],
        "q_a_layernorm": [12],
        "q_b_proj": [HEADS * 24, 12],
        "kv_a_proj_with_mqa": [8 + 8, HIDDEN],
        "kv_a_layernorm": [8],
        "kv_b_proj": [HEADS * (16 + 20), 8],
        "o_proj": [HIDDEN, HEADS * 20],
    }
    return {f"{prefix}.self_attn.{name}.weight": shape for name, shape in shapes.items()}


def deepseek() -> tuple[Tensors, dict[str, Any]]:
    """One dense layer, two with eight experts of width 6 and a part of width 12 beside them; latent attention."""
    tensors: Tensors = {"model.embed_tokens.weight": [100, HIDDEN], "lm_head.weight": [100, HIDDEN]}
    for at in range(3):
        layer = f"model.layers.{at}"
        tensors |= {f"{layer}.{name}_layernorm.weight": [HIDDEN] for name in ("input", "post_attention")}
        tensors |= latent_attention(layer)
        if at == 0:
            tensors |= mlp(f"{layer}.mlp", 40)
            continue
        tensors |= mlp(f"{layer}.mlp.shared_experts", 12) | {f"{layer}.mlp.gate.weight": [8, HIDDEN]}
        tensors |= {f"{layer}.mlp.gate.e_score_correction_bias": [8]}
        for expert in range(8):
            tensors |= mlp(f"{layer}.mlp.experts.{expert}", 6)
    config = {
        "model_type": "deepseek_v3",
        "hidden_size": HIDDEN,
        "num_hidden_layers": 3,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": 8,  # transformers writes the turned part's there
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 20,
        "intermediate_size": 40,
        "moe_intermediate_size": 6,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "vocab_size": 100,
    }
    return tensors, config


def test_dense_layers_shared_experts_and_latent_attention() -> None:
    tensors, config = deepseek()
    shapes = measure(tensors, config)
    experts = 2 * 8 * 3 * 6 * HIDDEN
    assert (shapes.experts, shapes.expert_layers, shapes.expert_count, shapes.expert_width) == (experts, 2, 8, 6)
    assert (shapes.shared_width, shapes.intermediate) == (12, 2 * 6 + 12)
    assert shapes.total - shapes.active == experts * 6 // 8
    assert (shapes.head_size, shapes.value_size, shapes.kv_heads) == (24, 20, HEADS)
    assert (shapes.norms, shapes.inner_norms) == (2, 12 + 8)
    assert "gate" not in {linear.name for linear in shapes.linears}  # a router is no linear layer to the libraries
    dense, mixed = shapes.kinds
    assert shapes.order == (0, 1, 1)
    assert (dense.layers, dense.experts, dense.intermediate) == (1, 0, 40)
    assert (mixed.layers, mixed.experts, mixed.intermediate) == (2, experts, 24)


def test_layers_of_several_kinds_are_added_up_one_by_one() -> None:
    shapes = measure(*deepseek())
    batch = MicroBatch(tokens=10, longest=10, compute=2, stream=2)
    trained = Trained(layers=1, depth=2)  # the last layer trained, the one before passed through
    dense, mixed = shapes.kinds
    plain, whole = (layer_bytes(mixed, trained, batch, is_trained=is_trained) for is_trained in (False, True))
    assert kept(shapes, trained, batch).layers == pytest.approx(10 * (plain + whole - 4 * HIDDEN))
    deeper = kept(shapes, Trained(layers=1), batch).layers - kept(shapes, trained, batch).layers
    assert deeper == pytest.approx(10 * layer_bytes(dense, trained, batch, is_trained=False))


def test_experts_that_lie_in_stacks_under_other_names() -> None:
    """Granite's."""
    tensors: Tensors = {}
    for at in range(2):
        moe = f"model.layers.{at}.block_sparse_moe"
        tensors |= {f"{moe}.input_linear.weight": [4, 2 * 16, HIDDEN], f"{moe}.output_linear.weight": [4, HIDDEN, 16]}
        tensors |= {f"{moe}.router.layer.weight": [4, HIDDEN]}
        tensors |= {f"model.layers.{at}.shared_mlp.input_linear.weight": [2 * 10, HIDDEN]}
        tensors |= {f"model.layers.{at}.shared_mlp.output_linear.weight": [HIDDEN, 10]}
    shapes = measure(tensors, {"hidden_size": HIDDEN, "num_local_experts": 4, "num_experts_per_tok": 2})
    assert (shapes.expert_count, shapes.expert_width, shapes.shared_width) == (4, 16, 10)
    assert shapes.experts == 2 * 4 * 3 * 16 * HIDDEN and not shapes.kinds
    assert {linear.name for linear in shapes.linears} == {"input_linear", "output_linear"}
    assert shapes.kind == "llama"


@pytest.mark.parametrize("setting", ["num_experts_per_tok", "moe_topk", "moe_k"])
def test_how_many_experts_a_token_goes_through(setting: str) -> None:
    tensors, config = deepseek()
    del config["num_experts_per_tok"]
    assert measure(tensors, {**config, setting: 3}).experts_active == 3


def test_attention_with_a_sink_writes_its_scores() -> None:
    tensors, config = deepseek()
    assert not measure(tensors, config).writes_scores
    assert measure({**tensors, "model.layers.1.self_attn.sinks": [HEADS]}, config).writes_scores
