"""Embedding and head too large to be held: rows are looked up on the drive, logits come and go tile by tile.

The head's tiles pass once on the way forward: the sum of exponentials, and with it the expected row of the head, are
brought up to date tile by tile as flash attention does with values, so the gradient to the hidden states is there as
soon as the loss is. They pass a second time when they learn, each from logits that are computed anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from studio.engine.stream.blocks import Reached
from studio.engine.stream.buffers import Buffer
from studio.engine.stream.schemes import Scheme
from studio.engine.stream.store import Numbers, Store

_POSITIONS = 2048
"""Positions whose logits of one tile exist at once."""
_ROWS = 64
"""Rows of the embedding that are looked up at once: more would only be memory."""


@dataclass(frozen=True)
class Scored:
    """What one micro-batch leaves for the head's own gradient: (n, hidden), (n,), (n,), (n,)."""

    hidden: torch.Tensor
    targets: torch.Tensor
    log_sums: torch.Tensor
    scale: torch.Tensor
    softcap: float


class TiledEnd:
    """A matrix (vocabulary, hidden) that stays in its unit of the store.

    Args:
        exact: whether arithmetic is fp32, so that residuals are read as well.
        learns: whether it is trained; a frozen one leaves nothing behind for a step of its own.

    Attributes:
        looked_up: token ids and the leaf that stands for their rows, of each micro-batch of the step.
        scored: what the head's gradient is made of.
    """

    def __init__(
        self, at: int, store: Store, scheme: Scheme, *, exact: bool, device: torch.device, learns: bool = True
    ) -> None:
        (self.tensor,) = store.layout.units[at].tensors
        self.at, self.device, self.learns = at, device, learns
        self.vocabulary, self.width = self.tensor.shape
        self.looked_up: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.scored: list[Scored] = []
        self._store, self._scheme, self._exact = store, scheme, exact

    @property
    def spans(self) -> list[tuple[int, int]]:
        """(first, end) numbers of each tile; all but the last end with a row."""
        return self._store.layout.tiles(self._store.layout.units[self.at])

    def tiles(self) -> Iterator[tuple[int, torch.Tensor]]:
        """(number of the first row, rows) of each tile, the next one read ahead."""
        for first, _, buffer, numbers in self.read_tiles():
            try:
                yield first // self.width, self.as_rows(numbers, first)
            finally:
                self._store.pool.give(buffer)

    def read_tiles(self) -> Iterator[tuple[int, int, Buffer, torch.Tensor]]:
        """(first number, end, buffer of weights, numbers on the device) of each; the caller keeps the buffer."""
        spans, store = self.spans, self._store
        ahead = store.read_span(self.at, *spans[0], rest=self._exact)
        for number, (first, end) in enumerate(spans):
            weights, residuals = ahead
            if number + 1 < len(spans):
                ahead = store.read_span(self.at, *spans[number + 1], rest=self._exact)
            buffer, rest = store.wait(weights), store.wait(residuals) if residuals else None
            numbers = self._numbers(buffer.view(torch.int16), rest and store.record_part(rest, end - first))
            if rest:
                store.pool.give(rest)
            yield first, end, buffer, numbers.to(self.device)

    def as_rows(self, numbers: torch.Tensor, first: int) -> torch.Tensor:
        """A tile's numbers as (rows, width), without what fills the last page."""
        count = min(len(numbers), self.tensor.numbers - first)
        return numbers[:count].view(-1, self.width)

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        """(n,) -> (n, width) in fp32: only the pages with these rows are read."""
        wanted, places = torch.unique(ids.cpu(), return_inverse=True)
        found = torch.empty(len(wanted), self.width)
        for at in range(0, len(wanted), _ROWS):
            pending = [self._read_row(row) for row in wanted[at : at + _ROWS].tolist()]
            for number, numbers in enumerate(pending):
                found[at + number].copy_(self._numbers(*numbers()))
        return found[places].to(self.device)

    @torch.no_grad()
    def gradient(self, first: int, numbers: torch.Tensor) -> torch.Tensor:
        """(rows, width) in fp32: of the rows of one tile, whose own numbers these are."""
        rows = self.as_rows(numbers, first)
        row = first // self.width
        total = torch.zeros(rows.shape, dtype=torch.float32, device=self.device)
        for scored in self.scored:
            _add_scored(total, rows.to(scored.hidden.dtype), row, scored)
        for ids, leaf in self.looked_up:
            assert leaf.grad is not None
            inside = (ids >= row) & (ids < row + len(rows))
            total.index_add_(0, ids[inside] - row, leaf.grad[inside])
        return total

    def forget(self) -> None:
        """The step is over."""
        self.looked_up.clear()
        self.scored.clear()

    def _numbers(self, bits: torch.Tensor, rest: torch.Tensor | None) -> torch.Tensor:
        if not self._exact:
            return bits.view(torch.bfloat16)
        return self._scheme.master(bits, {} if rest is None else {"r": rest})

    def _read_row(self, row: int) -> Numbers:
        first = row * self.width
        return self._store.read_numbers(self.at, first, first + self.width, rest=self._exact)


class TiledEmbedding(nn.Module):
    """Stands in a model for its embedding.

    Args:
        factor: what some families multiply rows with.
        dtype: of what is looked up.

    Attributes:
        is_idle: set while a forward pass is only wanted for its end.
    """

    def __init__(self, end: TiledEnd, factor: torch.Tensor | None, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.end, self._factor, self.is_idle = end, factor, False
        self._dtype = dtype

    @property
    def weight(self) -> torch.Tensor:
        """Shape and device, for those who ask; no numbers."""
        return torch.zeros((), device=self.end.device).expand(self.end.vocabulary, self.end.width)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(..., ) -> (..., width)."""
        if self.is_idle:
            return torch.zeros((), dtype=self._dtype, device=self.end.device).expand(*ids.shape, self.end.width)
        flat = ids.reshape(-1)
        rows = self.end.rows(flat).to(self._dtype)
        if self.end.learns and torch.is_grad_enabled():
            rows.requires_grad_(True)
            self.end.looked_up.append((flat, rows))
        out = rows.view(*ids.shape, self.end.width)
        return out if self._factor is None else out * self._factor.to(out)


class TiledHead(nn.Module):
    """Stands in a model for its output matrix."""

    def __init__(self, end: TiledEnd) -> None:
        super().__init__()
        self.end = end
        self.out_features = end.vocabulary
        self._asked: list[_Asked] | None = None
        self._known: list[_Known] = []

    @property
    def weight(self) -> torch.Tensor:
        """Shape and device, for those who ask; no numbers."""
        return torch.zeros((), device=self.end.device).expand(self.end.vocabulary, self.end.width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """All logits; for answers, which need few positions."""
        kind = _arithmetic(hidden)
        return torch.cat([hidden.to(kind) @ rows.to(kind).T for _, rows in self.end.tiles()], dim=-1)

    def token_nll(self, hidden: torch.Tensor, targets: torch.Tensor, softcap: float) -> torch.Tensor:
        """See `engine/token_nll.py`."""
        hidden = hidden.to(_arithmetic(hidden))
        if self._asked is not None:
            self._asked.append(_Asked(hidden.detach(), targets, softcap))
            raise Reached
        known = self._known.pop(0) if self._known else _score(self.end, [_Asked(hidden, targets, softcap)])[0]
        return _TiledNll.apply(hidden, known, targets, softcap, self.end)

    def score_together(self, forwards: Sequence[Callable[[], object]]) -> None:
        """Have several micro-batches' losses ready before they are asked for: the head is read once for all of them.

        Args:
            forwards: each runs the model as far as its loss.
        """
        asked: list[_Asked] = []
        self._asked = asked
        try:
            for forward in forwards:
                with contextlib.suppress(Reached), torch.no_grad():
                    forward()
        finally:
            self._asked = None
        self._known = _score(self.end, asked)

    def take_back(self) -> None:
        """A pass failed half way: the next one asks anew."""
        self._known.clear()


@dataclass(frozen=True)
class _Asked:
    hidden: torch.Tensor
    targets: torch.Tensor
    softcap: float


@dataclass(frozen=True)
class _Known:
    nll: torch.Tensor
    log_sums: torch.Tensor
    gradient: torch.Tensor


@torch.no_grad()
def _score(end: TiledEnd, asked: list[_Asked]) -> list[_Known]:
    """Losses and gradients of some micro-batches in one pass over the tiles."""
    sums = [_Sums(one.hidden, one.targets, one.softcap) for one in asked]
    for row, rows in end.tiles():
        for one in sums:
            one.add(row, rows.to(asked[0].hidden.dtype))
    return [one.result() for one in sums]


def _arithmetic(hidden: torch.Tensor) -> torch.dtype:
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


class _TiledNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, known: _Known, targets: torch.Tensor, softcap: float, end: TiledEnd
    ) -> torch.Tensor:
        ctx.end, ctx.softcap = end, softcap
        ctx.save_for_backward(hidden, targets, known.log_sums, known.gradient)
        return known.nll

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, targets, log_sums, gradient = ctx.saved_tensors
        (scale,) = grads
        if ctx.end.learns:
            ctx.end.scored.append(Scored(hidden, targets, log_sums, scale, ctx.softcap))
        return (gradient * scale[:, None]).to(hidden.dtype), None, None, None, None


class _Sums:
    """Sum of exponentials and expected row over the tiles seen so far, both relative to the largest logit seen."""

    def __init__(self, hidden: torch.Tensor, targets: torch.Tensor, softcap: float) -> None:
        count, width = hidden.shape
        new = {"dtype": torch.float32, "device": hidden.device}
        self._hidden, self._targets, self._softcap = hidden, targets, softcap
        self._most = torch.full((count,), -torch.inf, **new)
        self._sum = torch.zeros(count, **new)
        self._expected = torch.zeros(count, width, **new)
        self._own = torch.zeros(count, width, **new)
        self.target = torch.zeros(count, **new)

    def add(self, row: int, rows: torch.Tensor) -> None:
        """Take a tile in."""
        for at in range(0, len(self._targets), _POSITIONS):
            self._add(slice(at, at + _POSITIONS), row, rows)

    def result(self) -> _Known:
        """Negative log-likelihoods and their gradients to the hidden states."""
        log_sums = self._most + self._sum.log()
        return _Known(log_sums - self.target, log_sums, self._expected.div_(self._sum[:, None]).sub_(self._own))

    def _add(self, part: slice, row: int, rows: torch.Tensor) -> None:
        logits, slope = _logits(self._hidden[part], rows, self._softcap)
        here, inside = _inside(self._targets[part], row, len(rows))
        self.target[part][inside] = logits[inside, here]
        own = rows[here].float()
        self._own[part][inside] = own if slope is None else own * slope[inside, here, None]
        before = self._most[part].clone()
        self._most[part] = torch.maximum(before, logits.amax(1))
        fade = (before - self._most[part]).exp_()
        shares = logits.sub_(self._most[part, None]).exp_()
        self._sum[part] = self._sum[part].mul_(fade).add_(shares.sum(1))
        weighted = shares if slope is None else shares.mul_(slope)
        self._expected[part] = self._expected[part].mul_(fade[:, None]).add_(weighted.to(rows.dtype) @ rows)


def _logits(hidden: torch.Tensor, rows: torch.Tensor, softcap: float) -> tuple[torch.Tensor, torch.Tensor | None]:
    """fp32 logits of a tile, and d(capped)/d(raw) where they are capped."""
    logits = (hidden @ rows.T).float()
    if not softcap:
        return logits, None
    tanh = torch.tanh(logits / softcap)
    return softcap * tanh, 1 - tanh * tanh


def _inside(targets: torch.Tensor, row: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(targets that lie in the tile, counted from its first row; whether each target does)."""
    inside = (targets >= row) & (targets < row + count)
    return targets[inside] - row, inside


def _add_scored(total: torch.Tensor, rows: torch.Tensor, row: int, scored: Scored) -> None:
    """Add the head's gradient of one micro-batch for the rows of a tile."""
    for at in range(0, len(scored.targets), _POSITIONS):
        part = slice(at, at + _POSITIONS)
        hidden = scored.hidden[part]
        logits, slope = _logits(hidden, rows, scored.softcap)
        error = logits.sub_(scored.log_sums[part, None]).exp_()
        here, inside = _inside(scored.targets[part], row, len(rows))
        error[inside, here] -= 1.0
        error.mul_(scored.scale[part, None])
        if slope is not None:
            error.mul_(slope)
        total.add_(error.to(hidden.dtype).T @ hidden)
