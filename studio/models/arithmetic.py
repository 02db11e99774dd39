"""A model's shapes as numbers to calculate with: from its safetensors headers, or from the config alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.(.+)$")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
_HEADS = ("lm_head.weight", "output.weight", "embed_out.weight")


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
        intermediate: width of the feed-forward part that one token goes through (all its experts together).
        linears: the linear layers inside decoder layers: what "all-linear" adapters sit on and 4 bits apply to.
        experts: numbers in fused expert weights: no linear layers to the libraries, so never quantised.
        weighs_exactly: whether outcomes of experts are weighed in fp32, whatever the rest computes in.
        expert_count, expert_width, experts_active: experts of a layer, the width of one, how many a token goes through.
        vectors: numbers in norms and biases.
        embedding: numbers of the input embedding.
        head: numbers of the output matrix, 0 when it is the input embedding (tied).
        others: what is none of these (position tables, convolutions).
        layer_sizes: numbers in each decoder layer, first to last.
        window: tokens back that the windowed layers look, 0 for none.
        softcaps_attention: whether attention scores are capped, which no fused kernel can do.
        softcaps_logits: whether logits are.
        drops_attention: whether attention drops weights while training, which the CPU's fused kernel cannot do.
        kind: "llama" for gated feed-forward with RMS norm, "gemma" where that norm is scaled in fp32, "gpt" for the
            plain kind with layer norm.
        norms: norms of the hidden state in a decoder layer.
        head_norms: whether queries and keys are normed by head.
    """

    hidden: int = 0
    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_size: int = 0
    vocabulary: int = 0
    intermediate: int = 0
    linears: tuple[Linear, ...] = ()
    experts: int = 0
    expert_count: int = 0
    expert_width: int = 0
    experts_active: int = 0
    weighs_exactly: bool = False
    vectors: int = 0
    embedding: int = 0
    head: int = 0
    others: int = 0
    layer_sizes: tuple[int, ...] = ()
    window: int = 0
    softcaps_attention: bool = False
    softcaps_logits: bool = False
    drops_attention: bool = False
    kind: str = "llama"
    norms: int = 2
    head_norms: bool = False

    @property
    def linear_numbers(self) -> int:
        """Numbers in linear layers."""
        return sum(linear.numbers for linear in self.linears)

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
        return max(self.widest, self.embedding, self.head, self.experts // max(1, 2 * self.layers))


def measure(tensors: Mapping[str, Sequence[int]], config: Mapping[str, Any]) -> Shapes:
    """The shapes of a model.

    Args:
        tensors: name -> shape, as the safetensors headers say.
        config: its config.json; the text part of a multi-modal one is used.
    """
    text = _text(config)
    layers = [found for name in tensors if (found := _LAYER.search(name))]
    names = {found.string: found for found in layers}
    sizes: Counter[int] = Counter()
    for name, found in names.items():
        sizes[int(found[1])] += prod(tensors[name])
    linears, experts, vectors, rest = _sorted(tensors, names)
    embedding = _first(tensors, _EMBEDDINGS)
    head = 0 if _is_tied(text) else _first(tensors, _HEADS)
    outside = {name: prod(shape) for name, shape in tensors.items() if name not in names}
    loose = sum(n for name, n in outside.items() if not name.endswith((*_EMBEDDINGS, *_HEADS)))
    return Shapes(
        **_dimensions(text),
        linears=linears,
        experts=experts,
        vectors=vectors,
        embedding=embedding,
        head=head,
        others=rest + loose,
        layer_sizes=tuple(sizes[at] for at in sorted(sizes)),
        kind=_kind(text, is_gated=any("gate" in linear.name for linear in linears) or experts > 0),
        norms=len({found[2] for found in layers if found[1] == "0" and _is_hidden_norm(found[2])}) or 2,
        head_norms=any(found[2].endswith("q_norm.weight") for found in layers),
    )


def _sorted(
    tensors: Mapping[str, Sequence[int]], names: Mapping[str, re.Match[str]]
) -> tuple[tuple[Linear, ...], int, int, int]:
    """The decoder layers' tensors by kind: linear layers, experts, vectors, the rest (the last three as numbers)."""
    counts: Counter[tuple[str, int, int]] = Counter()
    experts = vectors = rest = 0
    for name, found in names.items():
        shape, inner = tensors[name], found[2]
        if len(shape) < 2:
            vectors += prod(shape)
        elif ".experts." in f".{inner}":
            experts += prod(shape)
        elif len(shape) == 2 and inner.endswith(".weight"):
            # GPT-2 stores its matrices the other way round; only the product of both is ever used of those.
            counts[inner.split(".")[-2], shape[1], shape[0]] += 1
        else:
            rest += prod(shape)
    linears = tuple(Linear(name, inputs, outputs, n) for (name, inputs, outputs), n in counts.items())
    return linears, experts, vectors, rest


_ROUNDS_SHARES = ("qwen2_moe", "qwen3_moe", "qwen3_next", "olmoe", "ernie4_5_moe")
"""In transformers 5 these round each expert's share to the precision of the router; the others leave it in fp32."""


def _dimensions(text: Mapping[str, Any]) -> dict[str, Any]:
    hidden = number(text, "hidden_size", "n_embd")
    heads = number(text, "num_attention_heads", "n_head")
    wide = number(text, "intermediate_size", "n_inner", "ffn_dim") or 4 * hidden
    expert, chosen = number(text, "moe_intermediate_size") or wide, number(text, "num_experts_per_tok")
    count = number(text, "num_experts", "num_local_experts", "n_routed_experts")
    window = number(text, "sliding_window") if text.get("use_sliding_window", True) else 0
    return {
        "hidden": hidden,
        "layers": number(text, "num_hidden_layers", "n_layer"),
        "heads": heads,
        "kv_heads": number(text, "num_key_value_heads") or heads,
        "head_size": number(text, "head_dim") or (hidden // heads if heads else 0),
        "vocabulary": number(text, "vocab_size"),
        "intermediate": chosen * expert if count else wide,
        "expert_count": count,
        "expert_width": expert if count else 0,
        "experts_active": chosen if count else 0,
        "weighs_exactly": bool(count) and text.get("model_type") not in _ROUNDS_SHARES,
        "window": window,
        "softcaps_attention": bool(text.get("attn_logit_softcapping")),
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
    return inner.endswith(("layernorm.weight", "ln_1.weight", "ln_2.weight"))
