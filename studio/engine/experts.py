"""Adapters on fused experts: that all kinds have them, and no copy of every layer's experts until the backward pass.

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

from studio.models.arithmetic import EXPERTS_BY_NAME

_FUSED = {"gate_up_proj": 2, "down_proj": 1}
"""What experts' stacks of matrices are called, and how many matrices of the files lie in each."""


class _Left(NamedTuple):
    """What stands for a sum that was let go: who sums it again, and how it was looked at."""

    wrapper: Any
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def reach(model: Any, config: Any) -> None:
    """Have peft's "all-linear" mean a mixture's experts, as it does by itself for some kinds of models alone.

    Args:
        config: peft's settings of a low-rank adapter; changed in place.
    """
    if config.target_modules != "all-linear" or model.config.model_type in EXPERTS_BY_NAME:
        return
    for name in _stacks(model):
        config.target_parameters = [*(config.target_parameters or []), f"experts.{name}"]
        if (matrices := _FUSED[name]) > 1:  # as much for each of them as peft gives elsewhere
            config.rank_pattern[rf".*\.{name}"] = config.r * matrices
            config.alpha_pattern[rf".*\.{name}"] = config.lora_alpha * matrices


def has_experts(model: Any) -> bool:
    """Whether a model's experts lie in stacks."""
    return bool(_stacks(model))


def _stacks(model: Any) -> list[str]:
    names = {name.rpartition(".")[2] for name, parameter in model.named_parameters() if parameter.ndim == 3}
    return sorted(names & _FUSED.keys())


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
