"""Negative log-likelihood of tokens straight from hidden states, a chunk of positions at a time.

Logits of a whole sequence never exist at once: with a large vocabulary they would be most of the memory. The idea is
that of cut cross-entropy (arXiv 2411.09009) and Liger's fused linear cross-entropy, kept per token so that any
objective can weigh tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

CHUNK_BYTES = 64 << 20
"""Upper limit for one chunk's fp32 logits: small enough not to matter, large enough to keep matmuls busy."""


def token_nll(hidden: torch.Tensor, head: nn.Module, targets: torch.Tensor, *, softcap: float = 0.0) -> torch.Tensor:
    """Negative log-likelihood of each target.

    Args:
        hidden: (positions, hidden size), the decoder's last hidden states.
        head: maps (n, hidden size) to (n, vocabulary) logits.
        targets: (positions,) token ids.
        softcap: cap for logits, `cap * tanh(logits / cap)` (Gemma 2); 0 for none.

    Returns:
        (positions,) float32, differentiable.
    """
    own = getattr(head, "token_nll", None)
    if own is not None:  # a head whose weights are not in memory
        return own(hidden, targets, softcap)
    if type(head) is nn.Linear and head.bias is None:
        weight = head.weight
        if torch.is_autocast_enabled(hidden.device.type):
            dtype = torch.get_autocast_dtype(hidden.device.type)
            hidden, weight = hidden.to(dtype), weight.to(dtype)
        return _ChunkedNll.apply(hidden, weight, targets, softcap, _chunk(weight.shape[0]))
    return _checkpointed(hidden, head, targets, softcap)


def _chunk(vocabulary: int) -> int:
    return max(16, CHUNK_BYTES // (4 * vocabulary))


def _cap(logits: torch.Tensor, softcap: float) -> torch.Tensor:
    return softcap * torch.tanh(logits / softcap) if softcap else logits


class _ChunkedNll(torch.autograd.Function):
    """Per-token loss through a plain linear head.

    A token's hidden state touches its own loss alone, so with a frozen head its gradient is computed in forward, while
    the chunk's logits are there, and only scaled in backward. A trained head's gradient mixes tokens with weights that
    forward does not know, so then logits are computed again in backward.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, softcap: float, chunk: int
    ) -> torch.Tensor:
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        now = needs_hidden and not needs_weight
        nll = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        grad = torch.empty_like(hidden) if now else None
        for at in range(0, len(targets), chunk):
            part = slice(at, at + chunk)
            log_probs, slope = _log_probs(hidden[part], weight, softcap)
            nll[part] = -log_probs.gather(1, targets[part, None]).squeeze(1)
            if grad is not None:
                grad[part] = _error(log_probs, targets[part], slope).to(weight.dtype) @ weight
        ctx.softcap, ctx.chunk, ctx.now = softcap, chunk, now
        ctx.save_for_backward(*((grad,) if grad is not None else (hidden, weight, targets)))
        return nll

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scale = grads[0]
        if ctx.now:
            (grad,) = ctx.saved_tensors
            return grad * scale[:, None].to(grad.dtype), None, None, None, None
        hidden, weight, targets = ctx.saved_tensors
        needs_hidden = ctx.needs_input_grad[0]
        to_hidden = torch.empty_like(hidden) if needs_hidden else None
        to_weight = torch.zeros_like(weight)
        for at in range(0, len(targets), ctx.chunk):
            part = slice(at, at + ctx.chunk)
            log_probs, slope = _log_probs(hidden[part], weight, ctx.softcap)
            error = _error(log_probs, targets[part], slope).mul_(scale[part, None]).to(weight.dtype)
            if to_hidden is not None:
                to_hidden[part] = error @ weight
            to_weight.addmm_(error.T, hidden[part])
        return to_hidden, to_weight, None, None, None


def _log_probs(hidden: torch.Tensor, weight: torch.Tensor, softcap: float) -> tuple[torch.Tensor, torch.Tensor | None]:
    """fp32 log-probabilities, and d(capped logits)/d(raw logits) where they are capped."""
    logits = (hidden @ weight.T).float()
    if not softcap:
        return torch.log_softmax(logits, dim=-1), None
    tanh = torch.tanh(logits / softcap)
    return torch.log_softmax(softcap * tanh, dim=-1), 1 - tanh * tanh


def _error(log_probs: torch.Tensor, targets: torch.Tensor, slope: torch.Tensor | None) -> torch.Tensor:
    """d(nll)/d(raw logits): softmax minus one at the target. Overwrites `log_probs`."""
    error = log_probs.exp_()
    error.scatter_add_(1, targets[:, None], error.new_full((len(targets), 1), -1.0))
    return error if slope is None else error.mul_(slope)


def _checkpointed(hidden: torch.Tensor, head: nn.Module, targets: torch.Tensor, softcap: float) -> torch.Tensor:
    """Any other head (with a bias, adapted, quantised): through the module, chunks recomputed in backward."""

    def piece(part: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        logits = _cap(head(part).float(), softcap)
        return nn.functional.cross_entropy(logits, wanted, reduction="none")

    chunk = _chunk(getattr(head, "out_features", 32_768))
    pieces = zip(hidden.split(chunk), targets.split(chunk), strict=True)
    if len(targets) <= chunk:
        return piece(hidden, targets)
    return torch.cat([checkpoint(piece, part, wanted, use_reentrant=False) for part, wanted in pieces])
