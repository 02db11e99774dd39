"""A model's shapes as numbers to calculate with: from its safetensors headers, or from the config alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.(.+)$")
_ROUTER = re.compile(r"(?:^|\.)(?:gate|router)(?:\.layer)?\.weight$")
_FEED_FORWARD = re.compile(r"mlp|feed_forward|ffn|moe")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
_HEADS = ("lm_head.weight", "output.weight", "embed_out.weight")
Tensors = dict[str, tuple[int, ...]]
"""A layer's tensors: name inside it -> shape."""


@dataclass(frozen=True)
class Linear:
    """Linear layers of one name and shape ("q_proj"), and how many of them there are in all decoder layers."""

    name: str
    inputs: int
    outputs: int
    count: int

    @property
    def numbers(self) -> int:
        """Weights in all of them."""
        return self.inputs * self.outputs * self.count


@dataclass(frozen=True)
class Shapes:
    """A language model's shapes. Counts are numbers (weights), never bytes.

    Attributes:
        hidden, layers, heads, kv_heads, head_size, vocabulary: as the config says.
        value_size: width of a head's values; other than `head_size` in latent attention (MLA).
        intermediate: width of the feed-forward part that one token goes through (all its experts together).
        linears: the linear layers inside decoder layers: what "all-linear" adapters sit on and 4 bits apply to.
        experts: numbers in fused expert weights: no linear layers to the libraries, so never quantised.
        weighs_exactly: whether outcomes of experts are weighed in fp32, whatever the rest computes in.
        expert_count, expert_width, experts_active: experts of a layer, the width of one, how many a token goes through.
        clamps_gates: whether experts clamp both halves before they join them (GPT-OSS), which leaves three more copies.
        expert_layers: layers that have experts.
        shared_width: of `intermediate`, what every token goes through beside its experts.
        experts_by_name: whether peft takes names of a feed-forward part ("gate_proj") for the experts' alone.
        vectors: numbers in norms and biases.
        embedding: numbers of the input embedding.
        head: numbers of the output matrix, 0 when it is the input embedding (tied).
        others: what is none of these (position tables, convolutions, routers).
        layer_sizes: numbers in each decoder layer, first to last.
        window: tokens back that the windowed layers look, 0 for none.
        writes_scores: whether attention scores are capped or share their weight with a sink: no fused kernel does that.
        softcaps_logits: whether logits are.
        drops_attention: whether attention drops weights while training, which the CPU's fused kernel cannot do.
        kind: "llama" for gated feed-forward with RMS norm, "gemma" where that norm is scaled in fp32, "gpt" for the
            plain kind with layer norm.
        norms: norms of the hidden state in a decoder layer.
        inner_norms: numbers of a token that are normed beside those: queries, keys, what they are made from.
        scales_only: whether norms are RMS norms, which the engine makes light (studio/engine/light.py).
        norms_first: whether a layer's parts read the outcome of a norm.
        kinds: where layers differ (dense ones before a mixture's), each kind as if the model had no others.
        order: the kind of each layer, first to last.
    """

    hidden: int = 0
    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_size: int = 0
    value_size: int = 0
    vocabulary: int = 0
    intermediate: int = 0
    linears: tuple[Linear, ...] = ()
    experts: int = 0
    expert_count: int = 0
    expert_width: int = 0
    experts_active: int = 0
    clamps_gates: bool = False
    expert_layers: int = 0
    shared_width: int = 0
    experts_by_name: bool = False
    weighs_exactly: bool = False
    vectors: int = 0
    embedding: int = 0
    head: int = 0
    others: int = 0
    layer_sizes: tuple[int, ...] = ()
    window: int = 0
    writes_scores: bool = False
    softcaps_logits: bool = False
    drops_attention: bool = False
    kind: str = "llama"
    norms: int = 2
    inner_norms: int = 0
    scales_only: bool = False
    norms_first: bool = False
    kinds: tuple[Shapes, ...] = ()
    order: tuple[int, ...] = ()

    @property
    def linear_numbers(self) -> int:
        """Numbers in linear layers."""
        return sum(linear.numbers for linear in self.linears)

    @property
    def active(self) -> int:
        """Numbers that one token goes through: all but the experts that it is not sent to."""
        idle = self.experts * (self.expert_count - self.experts_active) // max(1, self.expert_count)
        return self.total - idle

    @property
    def total(self) -> int:
        """All numbers of the model."""
        inside = self.linear_numbers + self.experts + self.vectors
        return inside + self.embedding + self.head + self.others

    @property
    def widest(self) -> int:
        """Numbers in the largest linear layer of a decoder layer."""
        return max((linear.inputs * linear.outputs for linear in self.linears), default=0)

    @property
    def largest(self) -> int:
        """Numbers in the largest single tensor."""
        return max(self.widest, self.embedding, self.head, 2 * self.expert_count * self.expert_width * self.hidden)


def measure(tensors: Mapping[str, Sequence[int]], config: Mapping[str, Any]) -> Shapes:
    """The shapes of a model.

    Args:
        tensors: name -> shape, as the safetensors headers say.
        config: its config.json; the text part of a multi-modal one is used.
    """
    text = _text(config)
    layers: dict[int, Tensors] = {}
    outside: dict[str, int] = {}
    for name, shape in tensors.items():
        if found := _LAYER.search(name):
            layers.setdefault(int(found[1]), {})[found[2]] = tuple(shape)
        else:
            outside[name] = prod(shape)
    embedding = _first(tensors, _EMBEDDINGS)
    head = 0 if _is_tied(text) else _first(tensors, _HEADS)
    loose = sum(n for name, n in outside.items() if not name.endswith((*_EMBEDDINGS, *_HEADS)))
    kinds: dict[tuple[tuple[str, tuple[int, ...]], ...], list[Tensors]] = {}
    order = []
    for at in sorted(layers):
        alike = tuple(sorted(item for item in layers[at].items() if ".experts." not in item[0]))
        kinds.setdefault(alike, []).append(layers[at])
        order.append(list(kinds).index(alike))
    whole = _layer_shapes(list(layers.values()), text)
    shapes = replace(
        whole,
        layers=number(text, "num_hidden_layers", "n_layer"),
        embedding=embedding,
        head=head,
        others=whole.others + loose,
        layer_sizes=tuple(_count(layers[at]) for at in sorted(layers)),
    )
    if len(kinds) < 2:
        return shapes
    each = (replace(_layer_shapes(some, text), embedding=embedding, head=head) for some in kinds.values())
    return replace(shapes, kinds=tuple(each), order=tuple(order))


def _layer_shapes(layers: Sequence[Tensors], text: Mapping[str, Any]) -> Shapes:
    """The shapes of these decoder layers, which need not be alike."""
    linears, experts, vectors, rest = _sorted(layers)
    dimensions = _dimensions(text)
    mixed = next((layer for layer in layers if any(_is_expert(inner) for inner in layer)), None)
    if mixed is not None:
        dimensions |= _mixture(mixed, dimensions["hidden"], text)
    elif number(text, *_EXPERT_COUNTS):  # a dense layer of a mixture may have a width of its own
        dimensions["intermediate"] = _dense_width(layers[0], dimensions["hidden"]) or dimensions["intermediate"]
    dimensions["writes_scores"] |= any(inner.endswith(".sinks") for layer in layers for inner in layer)
    norms = max((sum(_is_hidden_norm(inner) for inner in layer) for layer in layers), default=0)
    return Shapes(
        **dimensions,
        layers=len(layers),
        linears=linears,
        experts=experts,
        expert_layers=sum(any(_is_expert(inner) for inner in layer) for layer in layers),
        vectors=vectors,
        others=rest,
        layer_sizes=tuple(_count(layer) for layer in layers),
        kind=_kind(text, is_gated=any("gate" in linear.name for linear in linears) or experts > 0),
        norms=norms or 2,
        inner_norms=max((_inner_norms(layer, dimensions) for layer in layers), default=0),
        scales_only=bool(text.get("rms_norm_eps") or text.get("norm_eps")),
        norms_first=any("input_layernorm.weight" in layer for layer in layers),
    )


def _sorted(layers: Sequence[Tensors]) -> tuple[tuple[Linear, ...], int, int, int]:
    """The decoder layers' tensors by kind: linear layers, experts, vectors, the rest (the last three as numbers)."""
    counts: Counter[tuple[str, int, int]] = Counter()
    experts = vectors = rest = 0
    for layer in layers:
        is_mixed = any(_is_expert(inner) for inner in layer)
        for inner, shape in layer.items():
            if _is_expert(inner):
                experts += prod(shape)
            elif len(shape) < 2:
                vectors += prod(shape)
            elif len(shape) == 2 and inner.endswith(".weight") and not (is_mixed and _ROUTER.search(inner)):
                # GPT-2 stores its matrices the other way round; only the product of both is ever used of those.
                counts[inner.split(".")[-2], shape[1], shape[0]] += 1
            else:
                rest += prod(shape)
    linears = tuple(Linear(name, inputs, outputs, n) for (name, inputs, outputs), n in counts.items())
    return linears, experts, vectors, rest


def _is_expert(inner: str) -> bool:
    """Whether a tensor is one of a mixture's experts, alone or all of them; Granite names theirs by its place."""
    return ".experts." in f".{inner}" or inner.endswith(("moe.input_linear.weight", "moe.output_linear.weight"))


def _mixture(layer: Tensors, hidden: int, text: Mapping[str, Any]) -> dict[str, Any]:
    """What a layer with experts says of them; how many a token goes through only the config knows."""
    matrices = {inner: shape for inner, shape in layer.items() if _is_expert(inner) and "bias" not in inner}
    fused = [shape for shape in matrices.values() if len(shape) > 2]
    alone = {inner.partition("experts.")[2].partition(".")[0] for inner in matrices}
    count, chosen = fused[0][0] if fused else len(alone), number(text, "num_experts_per_tok", "moe_topk", "moe_k")
    width = sum(map(prod, matrices.values())) // max(1, 3 * hidden * count)
    shared = _dense_width(layer, hidden)
    return {
        "expert_count": count,
        "expert_width": width,
        "experts_active": chosen,
        "shared_width": shared,
        "intermediate": chosen * width + shared,
        "weighs_exactly": text.get("model_type") not in _ROUNDS_SHARES,
        "clamps_gates": bool(text.get("swiglu_limit")),
        "experts_by_name": text.get("model_type") in EXPERTS_BY_NAME,
    }


def _dense_width(layer: Tensors, hidden: int) -> int:
    """Width of a layer's feed-forward part without its experts: what goes into its last matrix."""
    found = ((inner, shape) for inner, shape in layer.items() if _FEED_FORWARD.search(inner) and len(shape) == 2)
    return sum(shape[1] for inner, shape in found if shape[0] == hidden and not _is_expert(inner))


def _inner_norms(layer: Tensors, dimensions: Mapping[str, Any]) -> int:
    """Numbers of a token that norms inside a layer's parts go over."""
    total = 0
    for inner, shape in layer.items():
        if inner.endswith("norm.weight") and not _is_hidden_norm(inner) and len(shape) == 1:
            by_head = shape[0] == dimensions["head_size"]
            heads = dimensions["heads"] if ".q" in inner else dimensions["kv_heads"]
            total += shape[0] * (heads if by_head else 1)
    return total


_ROUNDS_SHARES = (
    "qwen2_moe", "qwen3_moe", "qwen3_next", "olmoe", "ernie4_5_moe", "granitemoe", "granitemoeshared", "gpt_oss",
)  # fmt: skip
"""In transformers 5 these round each expert's share to the precision of the router; the others leave it in fp32."""
EXPERTS_BY_NAME = (
    "afmoe", "beam", "cohere2_moe", "deepseek_v2", "deepseek_v3", "deepseek_v32", "dots1", "ernie4_5_moe", "exaone_moe",
    "flex_olmo", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "hunyuan_v1_moe", "longcat_flash", "mellum", "minimax",
    "minimax_m2", "mixtral", "olmoe", "qwen3_moe", "qwen3_next", "solar_open",
)  # fmt: skip
"""Kinds of models whose adapters peft moves from names of matrices as they lie in files to fused experts: a name such
as "gate_proj" then means the experts alone, not a matrix of that name beside them (peft 0.21)."""
_EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def _dimensions(text: Mapping[str, Any]) -> dict[str, Any]:
    hidden = number(text, "hidden_size", "n_embd")
    heads = number(text, "num_attention_heads", "n_head")
    wide = number(text, "intermediate_size", "n_inner", "ffn_dim") or 4 * hidden
    latent = number(text, "qk_nope_head_dim")
    size = number(text, "head_dim") or (hidden // heads if heads else 0)
    size = latent + number(text, "qk_rope_head_dim") if latent else size
    window = number(text, "sliding_window") if text.get("use_sliding_window", True) else 0
    return {
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads if latent else number(text, "num_key_value_heads") or heads,
        "head_size": size,
        "value_size": number(text, "v_head_dim") if latent else size,
        "vocabulary": number(text, "vocab_size"),
        "intermediate": wide,
        "window": window,
        "writes_scores": bool(text.get("attn_logit_softcapping")),
        "drops_attention": bool(text.get("attn_pdrop", text.get("attention_dropout"))),
        "softcaps_logits": bool(text.get("final_logit_softcapping")),
    }


def number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these settings that is a whole number, else 0."""
    return next((value for value in map(config.get, names) if isinstance(value, int) and value), 0)


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    text = config.get("text_config")
    return text if isinstance(text, dict) else config


def _is_tied(text: Mapping[str, Any]) -> bool:
    """Whether the output matrix is the input embedding; some families' configs leave it to the default, True."""
    return bool(text.get("tie_word_embeddings", str(text.get("model_type", "")).startswith(("gemma", "gpt2"))))


def _kind(text: Mapping[str, Any], *, is_gated: bool) -> str:
    if not is_gated:
        return "gpt"
    return "gemma" if str(text.get("model_type", "")).startswith("gemma") else "llama"


def _first(tensors: Mapping[str, Sequence[int]], ends: Iterable[str]) -> int:
    return next((prod(shape) for name, shape in tensors.items() if name.endswith(tuple(ends))), 0)


def _is_hidden_norm(inner: str) -> bool:
    """Whether a tensor is a norm of the layer itself, not of one of its parts."""
    return inner.count(".") == 1 and inner.endswith(("norm.weight", "ln_1.weight", "ln_2.weight"))


def _count(layer: Tensors) -> int:
    return sum(map(prod, layer.values()))
