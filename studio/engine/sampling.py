"""Draws one token from logits. The order of filters is llama.cpp's, so that settings mean the same in both backends."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from studio.spec.sampling import PENALTY_WINDOW, Sampling


def make_generator(sampling: Sampling, device: torch.device) -> torch.Generator:
    """A generator of its own, so that an answer never moves the randomness of a training run."""
    generator = torch.Generator(device=device if device.type != "mps" else "cpu")
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    return generator


def pick(
    logits: torch.Tensor, *, sampling: Sampling, recent: Sequence[int] = (), generator: torch.Generator | None = None
) -> int:
    """The next token.

    Args:
        logits: (vocabulary,) of any float type.
        sampling: how.
        recent: tokens so far; the last 64 are made less likely when there is a penalty.
        generator: source of randomness on the logits' device.
    """
    logits = logits.float()
    if sampling.repeat_penalty != 1.0 and recent:
        logits = _penalise(logits, recent[-PENALTY_WINDOW:], sampling.repeat_penalty)
    if sampling.temperature == 0.0:
        return int(logits.argmax())
    values, tokens = torch.sort(logits, descending=True, stable=True)
    values = values[: sampling.top_k or None]
    values = values[: _num_kept(values, sampling)]
    shares = torch.softmax(values / sampling.temperature, dim=0)
    drawn = torch.multinomial(shares, 1, generator=generator)
    return int(tokens[drawn])


def _num_kept(values: torch.Tensor, sampling: Sampling) -> int:
    """How many of the sorted logits pass top p and min p; at least one."""
    shares = torch.softmax(values, dim=0)
    before = torch.cumsum(shares, dim=0) - shares
    kept = (before < sampling.top_p) & (shares >= sampling.min_p * shares[0])
    return max(1, int(kept.sum()))


def _penalise(logits: torch.Tensor, recent: Sequence[int], penalty: float) -> torch.Tensor:
    """Divide positive logits and multiply negative ones (CTRL, arXiv 1909.05858, as llama.cpp does)."""
    tokens = torch.tensor(sorted(set(recent)), device=logits.device)
    chosen = logits[tokens]
    return logits.index_put((tokens,), torch.where(chosen > 0, chosen / penalty, chosen * penalty))
