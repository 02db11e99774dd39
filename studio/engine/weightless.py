"""Models without weights: the real module code on tensors that have shapes only, for tracing memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

_STAND_INS: dict[str, Callable[[Any], Any]] = {
    "item": lambda tensor: 0,
    "tolist": lambda tensor: list(range(tensor.numel())),
    "__float__": lambda tensor: 0.0,
}
"""What is drawn or measured is unknown without values: whatever comes first stands in for it."""
_ACTIVE: ContextVar[bool] = ContextVar("weightless", default=False)


@contextlib.contextmanager
def weightless() -> Iterator[None]:
    """Inside, models are built rather than loaded, and nothing that torch makes takes memory. Own process only."""
    token = _ACTIVE.set(True)
    try:
        with (
            _replaced(nn.Module, _apply=_replacing_apply),
            _replaced(FakeTensor, **_STAND_INS),
            FakeTensorMode(allow_non_fake_inputs=True),
        ):
            yield
    finally:
        _ACTIVE.reset(token)


@contextlib.contextmanager
def _replaced(owner: type, **methods: Any) -> Iterator[None]:
    """Methods of a class replaced for a while."""
    own = {name: owner.__dict__[name] for name in methods if name in owner.__dict__}
    for name, method in methods.items():
        setattr(owner, name, method)
    try:
        yield
    finally:
        for name in methods:
            setattr(owner, name, own[name]) if name in own else delattr(owner, name)


def is_weightless() -> bool:
    """Whether values are unknown now: what would be proved on them has to be believed."""
    return _ACTIVE.get()


def build(folder: Path, *, dtype: torch.dtype, attention: str, quantise: bool) -> Any:
    """The model of a folder without its weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    if quantise:
        _quantise(model, dtype)
    return model


def _quantise(model: Any, dtype: torch.dtype) -> None:
    """Every linear layer but the output matrix, and experts, in NF4, as the loader does it."""
    from studio.engine.experts import stacks, stand_in
    from studio.engine.packed_layer import PackedLayer, packed

    head = model.get_output_embeddings()
    found = [name for name, module in model.named_modules() if type(module) is nn.Linear and module is not head]
    for name in found:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, PackedLayer(model.get_submodule(name), dtype))
    for name in stacks(model):
        path, _, last = name.rpartition(".")
        stack = model.get_parameter(name)
        stand_in(model.get_submodule(path), last, packed(stack), stack)


def _replacing_apply(
    self: nn.Module, change: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
) -> nn.Module:
    """`Module._apply` with new parameters in the place of old ones: torch's own cannot swap tensors without memory."""
    for child in self.children() if recurse else ():
        child._apply(change)
    for name, parameter in self._parameters.items():
        if parameter is not None:
            with torch.no_grad():
                changed = change(parameter)
            if changed is not parameter:
                self._parameters[name] = nn.Parameter(changed, requires_grad=parameter.requires_grad)
    for name, buffer in self._buffers.items():
        if buffer is not None:
            self._buffers[name] = change(buffer)
    return self
