"""16-bit products in fp32, rounded, where a processor has no units for them: unseen by whoever counts tensors.

Entered before a counter, it comes after it: the counter sees the 16-bit operation with its 16-bit outcome, and none of
what passes in between. The native operation takes some ten times as long on such a processor and leaves the same bytes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

_ATEN = torch.ops.aten
_ATTEND = _ATEN._scaled_dot_product_flash_attention_for_cpu.default
_PRODUCTS = {
    _ATEN.mm.default,
    _ATEN.bmm.default,
    _ATEN.addmm.default,
    _ATEN.mm.out,
    _ATEN.addmm.out,
    _ATTEND,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward.default,
}


class QuickProducts(TorchDispatchMode):
    """Does so while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self._is_needed = not torch.ops.mkldnn._is_mkldnn_bf16_supported()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, in fp32 where it is a product of bf16."""
        kwargs = kwargs or {}
        if not self._is_needed or func not in _PRODUCTS or args[0].dtype != torch.bfloat16:
            return func(*args, **kwargs)
        if "out" in kwargs:  # written where it was asked for
            return kwargs["out"].copy_(func(*tree_map(_widen, args), **{**kwargs, "out": kwargs["out"].float()}))
        out = func(*tree_map(_widen, args), **kwargs)
        if func is _ATTEND:  # its second outcome is fp32 natively
            return _round(out[0]), out[1]
        return tree_map(_round, out)


def _widen(value: Any) -> Any:
    return value.float() if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16 else value


def _round(value: Any) -> Any:
    return value.bfloat16() if isinstance(value, torch.Tensor) else value
