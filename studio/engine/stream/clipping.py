"""Holding gradients in when each layer learns before the length of the whole gradient is known.

`exact`: gradients come down the layers twice, first for their length alone; the same numbers as in memory.
`previous`: the factor of the step before; a unit whose own gradient is longer than the limit is held to the limit, so
a sudden leap does no harm. The first step has no step before it and is exact. `layer`: each layer on its own.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch

Clipping = Literal["exact", "previous", "layer"]


class Clip:
    """One run's clipping.

    Args:
        kind: see above.
        limit: the longest a gradient may be, 0 for no clipping.
        units: how many there are, for `layer`.
    """

    def __init__(self, kind: Clipping, limit: float, units: int) -> None:
        self._kind, self._limit, self._units = kind, limit, units
        self._last = math.nan

    @property
    def waits(self) -> bool:
        """Whether nothing of the coming step may learn until the length of its whole gradient is known."""
        if not self._limit:
            return False
        return self._kind == "exact" or (self._kind == "previous" and math.isnan(self._last))

    @property
    def by_layer(self) -> bool:
        """Whether all gradients of a layer must be there before any of it learns."""
        return self._kind == "layer" and self._limit > 0

    def of_unit(self, norm: float) -> float:
        """The factor for a unit whose own gradient has this length, before the whole is known."""
        if not self._limit:
            return 1.0
        if self._kind == "layer":
            return min(1.0, self._limit / math.sqrt(self._units) / (norm + 1e-6))
        return min(1.0, self._limit / (self._last + 1e-6), self._limit / (norm + 1e-6))

    def of_all(self, norm: torch.Tensor) -> float:
        """torch's own factor (`clip_grad_norm_`), rounding included."""
        return float(torch.clamp(self._limit / (norm + 1e-6), max=1.0)) if self._limit else 1.0

    def learned(self, norm: float) -> None:
        """The length of the step that ended."""
        self._last = norm

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"last": self._last}

    def load_state(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._last = float(state["last"])
