"""Attention over several rows laid end to end, without padding and without a mask: each row attends to itself only.

Registered with transformers as "tunesmith"; models that route attention through its interface pick it up. Whether a
given model really keeps rows apart this way is proved on the model itself before it is trusted (`lm_loss.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

NAME = "tunesmith"
GROUP_SHARE = "group_share"
"""An attention module that has this attribute attends, while it trains, inside groups of this share of a row."""
_LEAST_GROUP = 16


def register() -> None:
    """Make the attention known to transformers (idempotent)."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, rows_attention)


def rows_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    row_lengths: tuple[int, ...] = (),
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each row.

    Args:
        query: (1, heads, tokens, head size); key and value may have fewer heads (grouped-query attention).
        row_lengths: tokens of each row, in order; they add up to `tokens`.
        sliding_window: how many tokens back one may look, or None for all.
        softcap: cap on attention scores (Gemma 2).
        s_aux: (heads,) score of a sink that takes weight and gives nothing (GPT-OSS).

    Returns:
        (1, tokens, heads, head size), and no attention weights.
    """
    how = _How(dropout, scaling or query.shape[-1] ** -0.5, sliding_window, softcap or 0.0, s_aux)
    lengths = row_lengths or (query.shape[2],)
    share = getattr(module, GROUP_SHARE, 0.0) if module.training else 0.0
    if share:
        return _by_groups(query, key, value, lengths, how, share), None
    return _by_rows(query, key, value, lengths, how), None


def _by_rows(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: tuple[int, ...], how: _How
) -> torch.Tensor:
    """(1, tokens, heads, head size): each row by itself."""
    if len(set(lengths)) == 1:  # rows of one length: one call over all of them
        query, key, value = (_stack(x, len(lengths)) for x in (query, key, value))
        out = _attend(query, key, value, how)
        return out.transpose(1, 2).reshape(1, -1, out.shape[1], out.shape[3])
    pieces = zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    return torch.cat([_attend(q, k, v, how) for q, k, v in pieces], dim=2).transpose(1, 2).contiguous()


def _by_groups(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: tuple[int, ...], how: _How, share: float
) -> torch.Tensor:
    """Attention inside groups of each row; half of the heads use groups that begin half a group later.

    LongLoRA's shifted sparse attention (arXiv 2309.12307), without its wrap of a row's end to its beginning.
    """
    heads = query.shape[1]
    if key.shape[1] % 2:  # key heads must be cut in two as well
        key, value = (x.repeat_interleave(heads // key.shape[1], 1) for x in (key, value))
    straight, late = (_groups(lengths, share, is_late=is_late) for is_late in (False, True))
    halves = zip(*(x.tensor_split((x.shape[1] // 2,), 1) for x in (query, key, value)), strict=True)
    outs = [_by_rows(q, k, v, cut, how) for (q, k, v), cut in zip(halves, (straight, late), strict=True) if q.shape[1]]
    return torch.cat(outs, dim=2)


def _groups(lengths: tuple[int, ...], share: float, *, is_late: bool) -> tuple[int, ...]:
    """Rows cut into groups, each a share of its row."""
    cut: list[int] = []
    for length in lengths:
        group = max(_LEAST_GROUP, math.ceil(length * share))
        first = min(length, group // 2 if is_late else group)
        rest, last = divmod(length - first, group)
        cut += [first, *[group] * rest, *([last] if last else [])]
    return tuple(cut)


def _stack(x: torch.Tensor, rows: int) -> torch.Tensor:
    """(1, heads, rows * length, size) -> (rows, heads, length, size)."""
    return x.reshape(x.shape[1], rows, -1, x.shape[3]).transpose(0, 1)


@dataclass(frozen=True)
class _How:
    dropout: float
    scaling: float
    window: int | None
    softcap: float
    sinks: torch.Tensor | None


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, how: _How) -> torch.Tensor:
    length = query.shape[2]
    is_windowed = how.window is not None and length > how.window
    if how.softcap or how.sinks is not None:
        return _written_out(query, key, value, how)
    width = value.shape[-1]
    if width < query.shape[-1]:  # latent attention: with unlike widths torch writes all scores out
        value = nn.functional.pad(value, (0, query.shape[-1] - width))
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=_band(length, how.window, query.device) if is_windowed else None,
        dropout_p=how.dropout,
        is_causal=not is_windowed,
        scale=how.scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )[..., :width]


def _written_out(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, how: _How) -> torch.Tensor:
    """With all scores, because torch's fused kernels can neither cap them nor let a sink take part."""
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    scores = (query @ key.transpose(2, 3)).mul_(how.scaling)
    if how.softcap:
        scores = _capped(scores, how.softcap)
    scores = scores.masked_fill_(~_band(query.shape[2], how.window, query.device), torch.finfo(scores.dtype).min)
    if how.sinks is not None:
        sinks = how.sinks.to(scores.dtype).view(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, sinks], -1)
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)[..., : key.shape[2]]
    return torch.dropout(weights, how.dropout, train=how.dropout > 0) @ value


def _capped(scores: torch.Tensor, cap: float) -> torch.Tensor:
    if torch.is_grad_enabled():
        return cap * torch.tanh(scores / cap)
    return scores.div_(cap).tanh_().mul_(cap)


def _band(length: int, window: int | None, device: torch.device) -> torch.Tensor:
    """(length, length), True where a query (row) may look at a key: not ahead, and not further back than the window."""
    ones = torch.ones(length, length, dtype=torch.bool, device=device)
    return ones.tril() if window is None else ones.tril() & ones.triu(1 - window)
