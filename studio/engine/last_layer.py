"""The last layer's feed-forward part only at the positions whose outcome is read.

Of the last layer's output the loss reads trained positions alone, and a feed-forward part looks at each position by
itself. With long questions and short answers that spares nearly all of it, on the way up and back: the outcome at the
positions that are read is the same but for rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from studio.engine.layers import decoder_layers
from studio.errors import UserError

_WORTHWHILE = 0.8
"""Of all positions. With more to be read, taking them out and putting them back costs what it saves."""


class LastFeedForward:
    """Hooks on the feed-forward part of a decoder's last layer; nothing happens where a model has none that is apart.

    Args:
        causal: a transformers causal language model.
    """

    def __init__(self, causal: Any) -> None:
        self._index: torch.Tensor | None = None
        self._positions = 0
        self._layer = _last_layer(causal)
        part = getattr(self._layer, "mlp", None)
        if isinstance(part, nn.Module) and not hasattr(part, "experts"):
            part.register_forward_pre_hook(self._take_out)
            part.register_forward_hook(self._put_back)

    @contextlib.contextmanager
    def only(self, index: torch.Tensor, positions: int) -> Iterator[None]:
        """Inside, other positions than these come out of the last layer without its feed-forward part.

        Args:
            index: (read,) of the positions that are read.
            positions: that pass through, laid end to end.
        """
        # Computed again on the way back, a layer would not know of it.
        is_recomputed = getattr(self._layer, "gradient_checkpointing", False) and torch.is_grad_enabled()
        self._index = index if len(index) < _WORTHWHILE * positions and not is_recomputed else None
        self._positions = positions
        try:
            yield
        finally:
            self._index = None

    def _take_out(self, _: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._index is None:
            return None
        hidden, *rest = given
        return (hidden.index_select(1, self._index), *rest)

    def _put_back(self, _: nn.Module, __: tuple[Any, ...], out: torch.Tensor) -> torch.Tensor | None:
        if self._index is None:
            return None
        batch, _, width = out.shape
        return out.new_zeros(batch, self._positions, width).index_copy(1, self._index, out)


def _last_layer(causal: Any) -> nn.Module | None:
    try:
        return decoder_layers(causal)[-1]
    except UserError:
        return None
