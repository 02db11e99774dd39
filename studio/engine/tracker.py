"""Bytes that tensors take, from the first to the last moment of a step: counted as torch makes and frees them.

It works on real tensors and on those without weights (FakeTensorMode) alike, because it sees operations, not memory.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tracker(TorchDispatchMode):
    """Counts the storages that live while it is entered.

    Attributes:
        now: bytes by kind at this moment.
        peak: bytes by kind at the fullest moment since `restart`.
    """

    def __init__(self, *, vocabulary: int = 0, block: int = 1) -> None:
        """Begin with nothing.

        Args:
            vocabulary: tensors as wide as this count as "logits", all others as "activations".
            block: allocations are rounded up to this many bytes (512 on a CUDA card).
        """
        super().__init__()
        self.now: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self._vocabulary, self._block = vocabulary, block
        self._highest = 0
        self._total = 0
        self._live: dict[int, tuple[str, int]] = {}

    @property
    def peak_bytes(self) -> int:
        """All kinds together at the fullest moment."""
        return self._highest

    def restart(self) -> None:
        """Look for a new fullest moment from now on."""
        self._highest = 0
        self._note()

    def own(self, kind: str, tensors: Iterable[torch.Tensor]) -> None:
        """Count these tensors as `kind` from now on, whether they were seen before or not."""
        for tensor in tensors:
            for part in _parts(tensor):
                self._see(part, kind)
                self._move(part, kind)

    def own_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Count their gradients as such, as soon as they are there."""
        for parameter in parameters:
            parameter.register_post_accumulate_grad_hook(self._own_gradient)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and look at what came out."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor, self._kind(tensor))
        return out

    def _kind(self, tensor: torch.Tensor) -> str:
        is_wide = tensor.ndim == 2 and tensor.shape[1] == self._vocabulary
        return "logits" if is_wide else "activations"

    def _own_gradient(self, parameter: torch.nn.Parameter) -> None:
        if parameter.grad is not None:
            self.own("gradients", [parameter.grad])

    def _see(self, tensor: torch.Tensor, kind: str) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live:
            return
        size = -(-storage.nbytes() // self._block) * self._block
        self._live[key] = (kind, size)
        self._add(kind, size)
        weakref.finalize(storage, self._forget, key)

    def _move(self, tensor: torch.Tensor, kind: str) -> None:
        key = tensor.untyped_storage()._cdata
        old, size = self._live[key]
        self._live[key] = (kind, size)
        self.now[old] -= size
        self.now[kind] += size

    def _forget(self, key: int) -> None:
        kind, size = self._live.pop(key)
        self._add(kind, -size)

    def _add(self, kind: str, size: int) -> None:
        self.now[kind] += size
        self._total += size
        self._note()

    def _note(self) -> None:
        if self._total > self._highest:
            self._highest, self.peak = self._total, Counter({k: v for k, v in self.now.items() if v})


def _parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    """A tensor and what a quantised one keeps beside itself."""
    state = getattr(tensor, "quant_state", None)
    if state is None:
        return [tensor]
    nested = getattr(state, "state2", None)
    beside = [state.absmax, state.code, *([nested.absmax, nested.code] if nested is not None else [])]
    return [tensor, *beside]
