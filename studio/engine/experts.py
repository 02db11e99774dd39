"""Adapters on fused experts without a copy of every expert of every layer until the backward pass.

peft adds an adapter on a stack of experts to the stack before the product, and the product keeps that sum for its
gradient: all experts of each layer, as large as the experts themselves. Here it is summed again when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks


class _Left(NamedTuple):
    """What stands for a sum that was let go: who sums it again, and how it was looked at."""

    wrapper: Any
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def sum_again(model: nn.Module) -> None:
    """Have a peft model's adapted experts be summed again in the backward pass.

    Not for layers that are computed again as a whole: what is kept inside them would no longer be let go.
    """
    from peft.tuners.lora.layer import ParamWrapper

    found: dict[nn.Module, list[Any]] = {}
    for module in model.modules():
        if isinstance(module, ParamWrapper) and module.num_experts > 1:
            found.setdefault(module.get_base_layer(), []).append(module)
    for experts, wrappers in found.items():
        (inner,) = [wrapper for wrapper in wrappers if wrapper.base_layer is experts]
        _watch(experts, inner, wrappers)


def _watch(experts: nn.Module, inner: Any, wrappers: list[Any]) -> None:
    """Wrappers of one layer lie around each other, and only the innermost one's hooks are asked: it sees to all."""
    sizes = {wrapper: wrapper.get_param().numel() for wrapper in wrappers}
    activate = inner._activate_lora

    def let_go(tensor: torch.Tensor) -> torch.Tensor | _Left:
        for wrapper, size in sizes.items():
            if tensor.ndim == 3 and tensor.numel() == size:
                summed = getattr(experts, wrapper.parameter_name)  # peft has it kept while the layer computes
                if summed.untyped_storage()._cdata == tensor.untyped_storage()._cdata:
                    return _Left(wrapper, tuple(tensor.shape), tensor.stride())
        return tensor

    @contextmanager
    def activated(adapters: list[str]) -> Iterator[None]:
        with activate(adapters), saved_tensors_hooks(let_go, _summed):
            yield

    inner._activate_lora = activated


@torch.no_grad()
def _summed(kept: torch.Tensor | _Left) -> torch.Tensor:
    """As peft sums it."""
    if isinstance(kept, torch.Tensor):
        return kept
    (adapter,) = kept.wrapper.active_adapters
    left, right, scaling = kept.wrapper.get_delta_factors(adapter)
    with torch.autocast(left.device.type, enabled=False):
        weight = torch.baddbmm(kept.wrapper.get_param(), left, right, alpha=scaling)
    return weight.as_strided(kept.shape, kept.stride)
