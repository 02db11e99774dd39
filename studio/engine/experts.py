"""Fused experts that are made when their layer computes: unpacked from 4 bits, adapters added.

peft adds an adapter on a stack of experts to the stack before the product, and the product keeps that sum for its
gradient: all experts of each layer, as large as the experts themselves. Here it is made again when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from studio.engine.weightless import is_weightless
from studio.models.arithmetic import EXPERTS_BY_NAME

_FUSED = {"gate_up_proj": 2, "down_proj": 1}
"""What experts' stacks of matrices are called, and how many matrices of the files lie in each."""


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


def stacks(model: Any) -> list[str]:
    """Names of the stacks of a model's experts, (experts, outputs, inputs) or the other way round."""
    return [name for name, _ in model.named_parameters() if is_stack(model, name)]


def is_stack(model: Any, name: str) -> bool:
    """Whether a parameter is a stack of experts, packed or not."""
    path, _, last = name.rpartition(".")
    return last in _FUSED and getattr(model.get_submodule(path), last).ndim == 3


def _stacks(model: Any) -> list[str]:
    return sorted({name.rpartition(".")[2] for name in stacks(model)})


def stand_in(experts: nn.Module, name: str, packed: nn.Parameter, like: Any) -> None:
    """Keep a stack in 4 bits: `packed` in its place, and for those who look at it its shape without memory.

    Args:
        like: whoever knows the stack's shape and dtype.
    """
    experts._parameters[name] = packed
    experts.__dict__[name] = torch.zeros((), dtype=like.dtype, device=packed.device).expand(like.shape)


def _packed_names(experts: nn.Module) -> list[str]:
    return [name for name in experts._parameters if name in _FUSED and name in experts.__dict__]


def make_stacks(model: nn.Module, *, again: bool) -> None:
    """Have packed or adapted experts made when their layer computes.

    Args:
        model: peft's, or one that it has not touched.
        again: whether they are made a second time in the backward pass. Not for layers that are computed again as a
            whole: what is kept inside them would no longer be let go.
    """
    from peft.tuners.lora.layer import ParamWrapper

    found: dict[nn.Module, list[Any]] = {module: [] for module in model.modules() if _packed_names(module)}
    for module in model.modules():
        if isinstance(module, ParamWrapper) and module.num_experts > 1:
            found.setdefault(module.get_base_layer(), []).append(module)
    for experts, wrappers in found.items():
        _Made(experts, wrappers, again=again)


class _Made:
    """One layer's experts and how their stacks are made.

    peft's own way registers and takes away a parametrization at each call, which makes every stack twice.
    """

    def __init__(self, experts: nn.Module, wrappers: list[Any], *, again: bool) -> None:
        self._experts, self._again = experts, again
        self._wrappers = {wrapper.parameter_name: wrapper for wrapper in wrappers}
        self._active: dict[str, str] = {}
        self._forward = experts.forward
        experts.forward = self._compute
        for wrapper in wrappers:
            wrapper._activate_lora = partial(self._activated, wrapper)

    @contextmanager
    def _activated(self, wrapper: Any, adapters: list[str]) -> Iterator[None]:
        """In the place of peft's: note who is wanted. Wrappers of one layer lie around each other."""
        names = [name for name in adapters if name in wrapper.lora_A]
        if names:
            (self._active[wrapper.parameter_name],) = names
        try:
            yield
        finally:
            self._active.pop(wrapper.parameter_name, None)

    def _compute(self, *given: Any, **named: Any) -> Any:
        own = {name: self._experts.__dict__[name] for name in _packed_names(self._experts)}
        made = {name: self._make(name, self._active.get(name)) for name in {**own, **self._active}}

        def let_go(tensor: torch.Tensor) -> torch.Tensor | _Left:
            for name, stack in made.items():
                if tensor.ndim == 3 and tensor.numel() == stack.numel() and _lies_in(tensor, stack):
                    return _Left(self, name, self._active.get(name), tensor.shape, tensor.stride())
            return tensor.detach()  # what keeps its own outcome would keep itself, if no backward pass ever came

        self._experts.__dict__.update(made)
        try:
            with saved_tensors_hooks(let_go, _made_again) if self._again else nullcontext():
                return self._forward(*given, **named)
        finally:
            for name in made:
                del self._experts.__dict__[name]
            self._experts.__dict__.update(own)
            made.clear()  # the hooks outlive this

    def _make(self, name: str, adapter: str | None) -> torch.Tensor:
        """A stack as the layer computes with it; as peft sums it."""
        stack: Any = self._experts._parameters[name]
        like, is_packed = self._experts.__dict__.get(name), name in _packed_names(self._experts)
        if is_packed:
            stack = _unpacked(stack, like)
        if adapter is None:
            return stack
        left, right, scaling = self._wrappers[name].get_delta_factors(adapter)
        with torch.autocast(stack.device.type, enabled=False):
            if is_packed:
                return stack.baddbmm_(left, right, alpha=scaling)
            return torch.baddbmm(stack, left, right, alpha=scaling)


class _Left(NamedTuple):
    """What stands for a stack that was let go: who makes it again, and how it was looked at."""

    made: _Made
    name: str
    adapter: str | None
    shape: torch.Size
    stride: tuple[int, ...]


@torch.no_grad()
def _made_again(kept: torch.Tensor | _Left) -> torch.Tensor:
    if isinstance(kept, torch.Tensor):
        return kept
    return kept.made._make(kept.name, kept.adapter).as_strided(kept.shape, kept.stride)


def _lies_in(tensor: torch.Tensor, stack: torch.Tensor) -> bool:
    return tensor.untyped_storage()._cdata == stack.untyped_storage()._cdata


def _unpacked(packed: Any, like: torch.Tensor) -> torch.Tensor:
    if is_weightless():
        return like.new_empty(like.shape)
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(packed.data, packed.quant_state).view(like.shape)
