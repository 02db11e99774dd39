"""Norms and gated feed-forward parts of a decoder that leave less behind for the way back.

As transformers writes them, a norm of 16-bit hidden states keeps a copy of them in fp32, and a gated part keeps the
gate, what its activation made of it, and the other half. Here a norm keeps what it was given, and the activation is
computed once more on the way back. What comes out says how it can be made again, so that adapters need not keep their
input either (see `fused.py`): about half of a layer's activations in all. Outcomes are the same to the bit. Each class
is tried on small numbers first; one whose own code does something else stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._subclasses.fake_tensor import unset_fake_temporarily


class Again(NamedTuple):
    """How an outcome is made once more: of tensors that are kept in any case. It is the outcome's attribute `again`."""

    make: Callable[..., torch.Tensor]
    parts: tuple[torch.Tensor, ...]


Scale = Callable[[torch.Tensor, torch.Tensor, torch.dtype], torch.Tensor]
"""(normed in fp32, weight, dtype of what was given) -> outcome."""

# As Llama and most others, as GPT-OSS, and as Gemma, whose weight is what a norm has beyond one.
_SCALES: tuple[tuple[Scale, float], ...] = (
    (lambda normed, weight, dtype: weight * normed.to(dtype), 0.0),
    (lambda normed, weight, dtype: (weight * normed).to(dtype), 0.0),
    (lambda normed, weight, dtype: (normed * (1.0 + weight.float())).to(dtype), 1.0),
)
_KINDS = ((torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16), (torch.bfloat16, torch.float32))
_EPSILONS = ("variance_epsilon", "eps")
_GATES = (("gate_proj", "up_proj", "down_proj", "act_fn"), ("gate_up_proj", "down_proj", "activation_fn"))


def lighten(model: nn.Module) -> None:
    """Have a model's norms and gated parts compute as said above, where they are of a known kind."""
    norms: dict[type, tuple[Scale, float] | None] = {}
    gates: dict[tuple[type, ...], bool] = {}
    for module in model.modules():
        if "forward" in vars(module):
            continue  # somebody has changed it
        if _looks_like_norm(module):
            kind = type(module)
            if kind not in norms:
                norms[kind] = _proven_scale(module)
            if (scale := norms[kind]) is not None:
                module.forward = partial(_norm, module, _epsilon(module), *scale)
        elif (names := _gate_names(module)) is not None:
            kinds = type(module), type(getattr(module, names[-1]))
            if kinds not in gates:
                gates[kinds] = _is_gated(module, names)
            if gates[kinds]:
                module.forward = partial(_gated, module, names)


# Norms


def _norm(module: Any, epsilon: float, scale: Scale, beyond: float, given: torch.Tensor) -> torch.Tensor:
    weight = module.weight
    out, shrink = _Normed.apply(given, weight, epsilon, scale, beyond)
    if out.requires_grad:
        out.again = Again(partial(_normed, scale), (given.detach(), weight.detach(), shrink))
    normed: torch.Tensor = out
    return normed


def _normed(scale: Scale, given: torch.Tensor, weight: torch.Tensor, shrink: torch.Tensor) -> torch.Tensor:
    return scale(given.float() * shrink, weight, given.dtype)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, given: torch.Tensor, weight: torch.Tensor, epsilon: float, scale: Scale, beyond: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shrink = torch.rsqrt(given.float().pow(2).mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(given, weight, shrink)
        ctx.beyond = beyond
        ctx.mark_non_differentiable(shrink)
        ctx.set_materialize_grads(False)
        return _normed(scale, given, weight, shrink), shrink

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        given, weight, shrink = ctx.saved_tensors
        grad, _ = grads
        normed = given.float() * shrink
        towards_weight = towards_given = None
        if ctx.needs_input_grad[1]:
            others = tuple(range(grad.ndim - 1))
            towards_weight = (grad * normed).sum(others).to(weight.dtype)
        if ctx.needs_input_grad[0]:
            wide = grad * (weight.float() + ctx.beyond)
            along = torch.linalg.vecdot(wide, normed).unsqueeze(-1).div_(-grad.shape[-1])
            towards_given = wide.addcmul_(normed, along).mul_(shrink).to(given.dtype)
        return towards_given, towards_weight, None, None, None


def _looks_like_norm(module: nn.Module) -> bool:
    weight = module._parameters.get("weight")
    is_alone = weight is not None and weight.ndim == 1 and len(module._parameters) == 1 and not module._modules
    return is_alone and "RMSNorm" in type(module).__name__ and _epsilon(module) is not None


def _epsilon(module: Any) -> Any:
    return next((getattr(module, name) for name in _EPSILONS if hasattr(module, name)), None)


def _proven_scale(module: Any) -> tuple[Scale, float] | None:
    """What gives the very numbers that the class's own code gives, None if nothing does."""
    with unset_fake_temporarily(), torch.no_grad():
        try:
            return next((each for each in _SCALES if all(_is_same(module, *each, *kinds) for kinds in _KINDS)), None)
        except TypeError:
            return None  # its code wants more than hidden states


def _is_same(module: Any, scale: Scale, beyond: float, of_given: torch.dtype, of_weight: torch.dtype) -> bool:
    small = copy.copy(module)
    small._parameters = {"weight": nn.Parameter(torch.linspace(0.4, 1.7, 8, dtype=of_weight), requires_grad=False)}
    given = torch.linspace(-3, 2, 32, dtype=of_given).view(4, 8)
    wanted, found = type(module).forward(small, given), _norm(small, _epsilon(module), scale, beyond, given)
    return found.dtype == wanted.dtype and torch.equal(found, wanted)


# Gated parts


def _gated(module: Any, names: tuple[str, ...], given: torch.Tensor) -> torch.Tensor:
    *ups, down, activation = (getattr(module, name) for name in names)
    if len(ups) == 2 and not torch.is_grad_enabled():  # nothing is kept: the gate is gone before its other half comes
        return down(activation(ups[0](given)).mul_(ups[1](given)))
    parts = [up(given) for up in ups]
    gate, other = parts if len(parts) == 2 else parts[0].chunk(2, dim=-1)
    if not torch.is_grad_enabled():
        return down(activation(gate).mul_(other))
    joined: Any = _Joined.apply(gate, other, activation)
    if joined.requires_grad:
        joined.again = Again(partial(_join, activation), (gate.detach(), other.detach()))
    out: torch.Tensor = down(joined)
    return out


def _join(activation: nn.Module, gate: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    joined: torch.Tensor = activation(gate) * other
    return joined


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, other: torch.Tensor, activation: nn.Module) -> torch.Tensor:
        ctx.save_for_backward(gate, other)
        ctx.activation = activation
        return _join(activation, gate, other)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gate, other = ctx.saved_tensors
        (grad,) = grads
        with torch.enable_grad():
            leaf = gate.detach().requires_grad_(True)
            acted = ctx.activation(leaf)
        (towards_gate,) = torch.autograd.grad(acted, leaf, grad * other)
        return towards_gate, grad * acted.detach(), None


def _gate_names(module: nn.Module) -> tuple[str, ...] | None:
    names = next((names for names in _GATES if set(names) <= set(module._modules)), None)
    if names is None or next(getattr(module, names[-1]).parameters(), None) is not None:
        return None
    return names


def _is_gated(module: Any, names: tuple[str, ...]) -> bool:
    """Whether the class's own code gives the very numbers that ours gives."""
    *ups, down, activation = names
    with unset_fake_temporarily(), torch.no_grad():
        small, wide = copy.copy(module), 6
        inner = {name: _linear(8, wide * (2 // len(ups)), at) for at, name in enumerate(ups)}
        small._modules = {**inner, down: _linear(wide, 8, 2), activation: getattr(module, activation)}
        given = torch.linspace(-2, 3, 32).view(1, 4, 8)
        try:
            wanted = type(module).forward(small, given)
            with torch.enable_grad():  # both ways: with a way back, and without
                kept = _gated(small, names, given)
            return torch.equal(kept, wanted) and torch.equal(_gated(small, names, given), wanted)
        except (AttributeError, TypeError):
            return False  # its code wants more than these parts


def _linear(inputs: int, outputs: int, at: int) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False)  # draws no numbers
    linear.weight.copy_(torch.linspace(-1, 1, inputs * outputs).add(0.3 * at).sin().view(outputs, inputs))
    return linear
