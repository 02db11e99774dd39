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

from studio.engine.weightless import is_weightless

CHUNK_BYTES = 64 << 20
"""Upper limit for one chunk's fp32 logits: small enough not to matter, large enough to keep matmuls busy."""


def token_nll(
    hidden: torch.Tensor, head: nn.Module, targets: torch.Tensor, *, softcap: float = 0.0, is_even: bool = True
) -> torch.Tensor:
    """Negative log-likelihood of each target.

    Args:
        hidden: (positions, hidden size), the decoder's last hidden states.
        head: maps (n, hidden size) to (n, vocabulary) logits.
        targets: (positions,) token ids.
        softcap: cap for logits, `cap * tanh(logits / cap)` (Gemma 2); 0 for none.
        is_even: whether all tokens will weigh the same in the loss. Only a guess, which saves time where it is right.

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
        return _ChunkedNll.apply(hidden, weight, targets, softcap, _chunk(weight.shape[0]), is_even)
    return _checkpointed(hidden, head, targets, softcap)


def _chunk(vocabulary: int) -> int:
    return max(16, CHUNK_BYTES // (4 * vocabulary))


def _cap(logits: torch.Tensor, softcap: float) -> torch.Tensor:
    return softcap * torch.tanh(logits / softcap) if softcap else logits


class _ChunkedNll(torch.autograd.Function):
    """Per-token loss through a plain linear head.

    A token's hidden state touches its own loss alone, so with a frozen head its gradient is computed in forward, while
    the chunk's logits are there, and only scaled in backward. A trained head's gradient mixes tokens by weights that
    only backward knows; where they are expected to be all the same it is computed in forward as well. Where that was
    wrong, or not expected, logits are computed again in backward.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        softcap: float,
        chunk: int,
        is_even: bool,
    ) -> torch.Tensor:
        needs_hidden, needs_weight = ctx.needs_input_grad[:2]
        ctx.is_early = is_even or not needs_weight
        nll = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        to_hidden = torch.empty_like(hidden) if needs_hidden and ctx.is_early else None
        to_weight = torch.zeros_like(weight) if needs_weight and ctx.is_early else None
        logits = _Logits(min(chunk, len(targets)), weight, softcap)
        for at in range(0, len(targets), chunk):
            part = slice(at, at + chunk)
            logits.compute(hidden[part])
            nll[part] = logits.nll(targets[part])
            if to_hidden is not None or to_weight is not None:
                _add_gradients(logits.error(targets[part]), part, hidden, weight, to_hidden, to_weight)
        ctx.softcap, ctx.chunk = softcap, chunk
        again = (hidden, weight, targets) if needs_weight else (None, None, None)
        ctx.save_for_backward(to_hidden, to_weight, *again)
        return nll

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scale = grads[0]
        to_hidden, to_weight, hidden, weight, targets = ctx.saved_tensors
        if not ctx.is_early or (to_weight is not None and not _is_even(scale)):
            to_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
            to_weight = _again(ctx, scale, hidden, weight, targets, to_hidden)
        else:
            to_hidden = None if to_hidden is None else to_hidden * scale[:, None].to(to_hidden.dtype)
            # In place: with a large vocabulary a second one would be felt.
            to_weight = None if to_weight is None else to_weight.mul_(scale[0].to(to_weight.dtype))
        return to_hidden, to_weight, None, None, None, None


def _is_even(scale: torch.Tensor) -> bool:
    return len(scale) > 0 and (is_weightless() or bool((scale == scale[0]).all()))


def _again(
    ctx: Any,
    scale: torch.Tensor,
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    to_hidden: torch.Tensor | None,
) -> torch.Tensor:
    """Gradients of weighted tokens from logits that are computed anew; the weight's is returned."""
    to_weight = torch.zeros_like(weight)
    logits = _Logits(min(ctx.chunk, len(targets)), weight, ctx.softcap)
    for at in range(0, len(targets), ctx.chunk):
        part = slice(at, at + ctx.chunk)
        logits.compute(hidden[part])
        error = logits.error(targets[part], scale[part])
        _add_gradients(error, part, hidden, weight, to_hidden, to_weight)
    return to_weight


def _add_gradients(
    error: torch.Tensor,
    part: slice,
    hidden: torch.Tensor,
    weight: torch.Tensor,
    to_hidden: torch.Tensor | None,
    to_weight: torch.Tensor | None,
) -> None:
    """What a chunk's error means for its hidden states, and for the weight."""
    if to_hidden is not None:
        torch.mm(error, weight, out=to_hidden[part])
    if to_weight is not None:
        to_weight.addmm_(error.T, hidden[part])


class _Logits:
    """The logits of one chunk at a time, in memory that is asked for once: fresh pages cost as much as the arithmetic.

    Args:
        rows: of the largest chunk.
        weight: (vocabulary, hidden size).
        softcap: see `token_nll`.
    """

    def __init__(self, rows: int, weight: torch.Tensor, softcap: float) -> None:
        self._weight, self._softcap = weight, softcap
        self._product = weight.new_empty(rows, weight.shape[0])
        self._exact = self._product if weight.dtype == torch.float32 else self._product.float()
        self._shares = torch.empty_like(self._exact)

    def compute(self, hidden: torch.Tensor) -> None:
        """Of these hidden states; `nll` and then `error` may be asked about them."""
        self._rows = len(hidden)
        product, exact, shares = self._product[: self._rows], self._exact[: self._rows], self._shares[: self._rows]
        torch.mm(hidden, self._weight.T, out=product)
        if self._exact is not self._product:
            exact.copy_(product)
        if self._softcap:
            exact.div_(self._softcap).tanh_()  # what is left there says how steep the cap is
            self._top = self._softcap * exact.amax(1)
            torch.softmax(self._softcap * exact, 1, out=shares)
        else:
            self._top = exact.amax(1)
            torch.softmax(exact, 1, out=shares)

    def nll(self, targets: torch.Tensor) -> torch.Tensor:
        """(positions,) of each target: log of all exponentials' sum, which the likeliest token's share tells, less its
        own logit.
        """
        own = self._exact[: self._rows].gather(1, targets[:, None]).squeeze(1)
        own = self._softcap * own if self._softcap else own
        return self._top - self._shares[: self._rows].amax(1).log() - own

    def error(self, targets: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        """d(nll * scale)/d(raw logits) in the weight's dtype: softmax minus one at the target. Uses the logits up."""
        error, exact = self._shares[: self._rows], self._exact[: self._rows]
        error.scatter_add_(1, targets[:, None], error.new_full((self._rows, 1), -1.0))
        if self._softcap:
            error.mul_(exact.square_().neg_().add_(1.0))
        if scale is not None:
            error.mul_(scale[:, None])
        if self._exact is self._product:
            return error
        return self._product[: self._rows].copy_(error)


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
