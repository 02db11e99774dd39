"""The random state before a layer, so that computing it anew drops out the same numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


class Chance:
    """The random states of the processor and of one card, as they are now."""

    def __init__(self, device: torch.device) -> None:
        self._device = device if device.type == "cuda" else None
        self._processor = torch.get_rng_state()
        self._card = torch.cuda.get_rng_state(device) if self._device else None

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """Inside, the same numbers are drawn as after this was made."""
        with torch.random.fork_rng(devices=[self._device] if self._device else []):
            torch.set_rng_state(self._processor)
            if self._device and self._card is not None:
                torch.cuda.set_rng_state(self._card, self._device)
            yield
