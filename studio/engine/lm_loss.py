"""The loss of a causal language model over rows laid end to end, building logits for trained positions only.

How a model's rows are kept apart (`rows` without padding, or `padded`) and how its hidden states become logits are
proved on the model itself before training, because architectures differ in ways that no table keeps up with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from studio.engine import attention
from studio.engine.last_layer import LastFeedForward
from studio.engine.light import lighten
from studio.engine.token_nll import token_nll
from studio.engine.weightless import is_weightless

Layout = Literal["rows", "padded"]
_PROBED, _ATTEMPTS = (9, 6, 6), 3
"""Lengths of the rows that are laid end to end to see whether they are kept apart, and how often it is tried."""
PerToken = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Ending:
    """How hidden states become logits: `softcap(head(hidden * scale))`."""

    scale: float = 1.0
    softcap: float = 0.0


class LmLoss(nn.Module):
    """Wraps a model; its forward gives sums, so that micro-batches and processes add up token-exactly."""

    def __init__(self, model: nn.Module, per_token: PerToken, *, neftune_alpha: float = 0.0) -> None:
        """Prove how this model is to be fed and read.

        Args:
            model: a transformers causal language model, with or without a peft adapter.
            per_token: turns tokens' negative log-likelihoods into their losses.
            neftune_alpha: noise on embeddings while training (arXiv 2310.05914), 0 for none.
        """
        super().__init__()
        self.model = model
        lighten(model)
        self._per_token, self._is_even = per_token, _weighs_evenly(per_token)
        causal: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        # Not registered again as submodules: they are parts of `model`.
        object.__setattr__(self, "_causal", causal)
        object.__setattr__(self, "_decoder", causal.get_decoder())
        object.__setattr__(self, "_head", causal.get_output_embeddings())
        self.ending = _prove_ending(causal, self._decoder, self._head)
        self._usual_attention = causal.config._attn_implementation
        self.layout: Layout = "rows" if _prove_rows(causal, self._decoder) else "padded"
        self.last = _proven_last(causal, self._decoder) if self.layout == "rows" else None
        if neftune_alpha > 0:
            causal.get_input_embeddings().register_forward_hook(_Neftune(self, neftune_alpha))
        self.row_lengths: tuple[int, ...] = ()

    def forward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        index: torch.Tensor,
        targets: torch.Tensor,
        row_lengths: tuple[int, ...],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums over trained tokens.

        Args:
            input_ids, position_ids: (1, tokens), rows end to end; positions restart at 0 with each row.
            index: (trained,) positions whose next token is trained.
            targets: (trained,) those next tokens.
            row_lengths: tokens of each row.

        Returns:
            (sum of the objective's losses, sum of plain negative log-likelihoods without gradient).
        """
        self.row_lengths = row_lengths
        if self.ending is None:
            nll = _nll_of_whole_model(self._causal, input_ids[0], row_lengths, index, targets)
        else:
            with self.reading(index, input_ids.shape[1]):
                hidden = self._hidden(input_ids, position_ids, row_lengths)[index] * self.ending.scale
            nll = token_nll(hidden, self._head, targets, softcap=self.ending.softcap, is_even=self._is_even)
        return self._per_token(nll).sum(), nll.detach().sum()

    def within(self, work: Callable[[], Any]) -> Any:
        """Do `work`. A model in parts (`sharding.py`) is gathered around this as around `forward`."""
        return work()

    def reading(self, index: torch.Tensor, positions: int) -> contextlib.AbstractContextManager[None]:
        """Inside, only these of so many positions are read of the last layer's outcome."""
        if self.last is None or self.layout != "rows":
            return contextlib.nullcontext()
        return self.last.only(index, positions)

    @contextlib.contextmanager
    def generating(self) -> Iterator[nn.Module]:
        """The model as it is for answering: row attention knows no cache, so the usual one comes back for a while."""
        now = self._causal.config._attn_implementation
        self._causal.set_attn_implementation(self._usual_attention)
        try:
            yield self.model
        finally:
            self._causal.set_attn_implementation(now)

    def _hidden(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, row_lengths: tuple[int, ...]
    ) -> torch.Tensor:
        """(tokens, hidden size) of the last layer."""
        if self.layout == "padded":
            return _padded_hidden(self._decoder, input_ids[0], row_lengths)
        out = self._decoder(input_ids=input_ids, position_ids=position_ids, row_lengths=row_lengths, use_cache=False)
        return out.last_hidden_state[0]


def _weighs_evenly(per_token: PerToken) -> bool:
    """Whether likely and unlikely tokens weigh the same in the gradient."""
    if is_weightless():
        return True
    with torch.enable_grad():
        nll = torch.tensor([0.1, 1.0, 5.0], requires_grad=True)
        (weights,) = torch.autograd.grad(per_token(nll).sum(), nll)
    return bool((weights == weights[0]).all())


def _pad(ids: torch.Tensor, row_lengths: tuple[int, ...]) -> torch.Tensor:
    """(tokens,) -> (rows, longest). Padding lies behind the row, where causal attention never looks back from it."""
    return torch.nn.utils.rnn.pad_sequence(list(ids.split(row_lengths)), batch_first=True)


def _padded_hidden(decoder: Any, ids: torch.Tensor, row_lengths: tuple[int, ...]) -> torch.Tensor:
    """Hidden states of rows side by side, padding taken out again: (tokens, hidden size)."""
    out = decoder(input_ids=_pad(ids, row_lengths), use_cache=False).last_hidden_state
    return torch.cat([row[:length] for row, length in zip(out, row_lengths, strict=True)])


def _nll_of_whole_model(
    causal: Any, ids: torch.Tensor, row_lengths: tuple[int, ...], index: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """The long way, for a model whose ending is not understood: all logits, then the wanted ones."""
    logits = causal(input_ids=_pad(ids, row_lengths), use_cache=False).logits
    flat = torch.cat([row[:length] for row, length in zip(logits, row_lengths, strict=True)])
    return nn.functional.cross_entropy(flat[index].float(), targets, reduction="none")


def _probe_ids(causal: Any, count: int, attempt: int = 0) -> torch.Tensor:
    """Distinct tokens, drawn without touching any random state."""
    device = causal.get_input_embeddings().weight.device
    vocabulary = causal.get_input_embeddings().weight.shape[0]
    return (torch.arange(count, device=device) * 7919 + 13 + 101 * attempt) % vocabulary


def _is_close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Same up to the rounding of the dtype. A wrong ending or a leak between rows is off by tens of per cent."""
    if is_weightless():
        return True  # nothing can be compared: what the architecture says is believed
    tolerance = 1e-4 if a.dtype == torch.float32 else 4e-2
    gap = (a.float() - b.float()).norm()
    return bool(gap <= tolerance * b.float().norm().clamp_min(1e-12))


@torch.no_grad()
def _prove_ending(causal: Any, decoder: Any, head: Any) -> Ending | None:
    """The ending under which head(decoder) gives the model's own logits, or None."""
    if head is None:
        return None
    config = causal.config.get_text_config()
    scaling = float(getattr(config, "logits_scaling", None) or 1.0)
    scale = float(getattr(config, "logit_scale", None) or 1.0) / scaling
    ending = Ending(scale=scale, softcap=float(getattr(config, "final_logit_softcapping", None) or 0.0))
    with _evaluating(causal):
        ids = _probe_ids(causal, 12)[None]
        wanted = causal(input_ids=ids, use_cache=False).logits
        logits = head(decoder(input_ids=ids, use_cache=False).last_hidden_state * ending.scale)
    if ending.softcap:
        logits = ending.softcap * torch.tanh(logits / ending.softcap)
    return ending if _is_close(logits, wanted) else None


@torch.no_grad()
def _prove_rows(causal: Any, decoder: Any) -> bool:
    """Switch to row attention if rows end to end come out as each does alone; else leave the model as it was.

    A leak shows with any tokens. A mixture's router may send one elsewhere for a rounding's sake, so there are more
    attempts than one.
    """
    before = causal.config._attn_implementation
    with _evaluating(causal):
        for attempt in range(_ATTEMPTS):
            if _are_apart(causal, decoder, _probe_ids(causal, sum(_PROBED), attempt)):
                return True
            causal.set_attn_implementation(before)
    return False


def _are_apart(causal: Any, decoder: Any, ids: torch.Tensor) -> bool:
    """Whether rows end to end come out as alone; row attention stays switched on."""
    positions = torch.cat([torch.arange(n, device=ids.device) for n in _PROBED])
    alone = [decoder(input_ids=row[None], use_cache=False).last_hidden_state[0] for row in ids.split(_PROBED)]
    attention.register()
    try:
        causal.set_attn_implementation(attention.NAME)
        out = decoder(input_ids=ids[None], position_ids=positions[None], row_lengths=_PROBED, use_cache=False)
    except (NotImplementedError, TypeError, ValueError):
        return False  # this architecture has its own attention, or takes no extra arguments: padding it is
    return _is_close(out.last_hidden_state[0], torch.cat(alone))


@torch.no_grad()
def _proven_last(causal: Any, decoder: Any) -> LastFeedForward | None:
    """Spare the last layer's unread positions, if those that are read come out as they do among all."""
    if is_weightless():
        return None  # what is traced is the most that a step can take
    last, ids = LastFeedForward(causal), _probe_ids(causal, 12)[None]
    index, rows = torch.tensor([2, 5, 11], device=ids.device), {"row_lengths": (12,), "use_cache": False}
    with _evaluating(causal):
        positions = torch.arange(12, device=ids.device)[None]
        wanted = decoder(input_ids=ids, position_ids=positions, **rows).last_hidden_state[0, index]
        with last.only(index, 12):
            found = decoder(input_ids=ids, position_ids=positions, **rows).last_hidden_state[0, index]
    return last if _is_close(found, wanted) else None


class _evaluating:  # noqa: N801 - reads as a statement
    """Dropout off while proving; the mode comes back afterwards."""

    def __init__(self, model: nn.Module) -> None:
        self._model, self._was = model, model.training

    def __enter__(self) -> None:
        self._model.eval()

    def __exit__(self, *_: object) -> None:
        self._model.train(self._was)


class _Neftune:
    """Uniform noise of size alpha / sqrt(row length * hidden size) on embeddings, while training."""

    def __init__(self, loss: LmLoss, alpha: float) -> None:
        self._loss, self._alpha = loss, alpha

    def __call__(self, module: nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
        if not module.training:
            return output
        lengths = torch.tensor(self._loss.row_lengths, device=output.device)
        if self._loss.layout == "rows" and self._loss.ending is not None:
            each = lengths.repeat_interleave(lengths)[None, :, None]
        else:
            each = lengths[:, None, None]
        size = self._alpha / (each * output.shape[-1]).sqrt().to(output.dtype)
        return output + torch.empty_like(output).uniform_(-1, 1) * size
