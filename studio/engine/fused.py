"""A low-rank adapter and the layer that it adapts as one function, forward and backward, DoRA's among them.

peft makes several tensors of the output's size on the way (the product, the scaled product, the sum; DoRA twice as
many, and the whole adapted weight) and keeps a copy of each hidden input. Here each sum is made in place, scaling is
done on tensors as narrow as the rank, a hidden input is a byte a number, and DoRA's lengths come from narrow products.
An input that can be made again of what is kept in any case (see `light.py`) is not kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from studio.engine.light import Again
from studio.engine.products import product


def fuse(model: nn.Module) -> None:
    """Have the low-rank layers of a peft model, plain ones and DoRA's, work as one function with what they adapt.

    For training: what is fused cannot be merged (the export makes its own layers).
    """
    from peft.tuners.lora.layer import ParamWrapper
    from peft.tuners.lora.variants import DoraLinearVariant

    for module in model.modules():
        layer: Any = module
        if not getattr(module, "lora_A", None) or isinstance(module, ParamWrapper):
            continue
        for name in layer.lora_A:
            known = layer.lora_variant.get(name)
            if known is None:
                layer.lora_variant[name] = _Fused
            elif type(known) is DoraLinearVariant:
                layer.lora_variant[name] = _FusedDora
            else:
                continue
            layer.cast_input_dtype_enabled = False  # autocast would cast back what peft has cast to fp32


def set_lengths(part: nn.Module) -> None:
    """Make low-rank linear layers DoRA's, or have DoRA's begin anew: exactly as the base, nothing is longer or shorter.

    peft rounds these lengths to the base's 16 bits, so outputs would be up to 0.4 % off at first, and makes matrices as
    large as the base's on the way. Wants the base's weights in place.
    """
    from peft.tuners.lora.dora import DoraLinearLayer
    from peft.tuners.lora.layer import ParamWrapper
    from peft.tuners.lora.variants import DoraLinearVariant

    for module in part.modules():
        layer: Any = module
        if not getattr(module, "lora_A", None) or isinstance(module, ParamWrapper):
            continue
        if not isinstance(layer.get_base_layer(), (nn.Linear, Conv1D)):
            continue  # a convolution's lengths are peft's matter
        for name in layer.lora_A:
            stretch = DoraLinearLayer(getattr(layer, "fan_in_fan_out", False))
            stretch.weight = nn.Parameter(_squares(layer, _weight(layer)).sqrt())
            layer.lora_magnitude_vector[name] = stretch
            layer.lora_variant[name] = DoraLinearVariant()
            layer.use_dora[name] = True


class _Fused:
    """What peft calls a variant: another way of computing a layer."""

    @staticmethod
    def forward(module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any) -> torch.Tensor:
        """`result + up(down(dropout(x))) * scaling`, in place of `result`."""
        return _add(module, active_adapter, x, result, None)


class _FusedDora:
    """The same with each output's length set anew (arXiv 2402.09353); inputs are hidden from the adapter alone."""

    @staticmethod
    def forward(module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any) -> torch.Tensor:
        """`(result + up(down(dropout(x))) * scaling) * magnitude / length`, in place of `result`, but for a bias."""
        magnitude = module.lora_magnitude_vector[active_adapter].weight
        return _add(module, active_adapter, x, result, magnitude / _lengths(module, active_adapter))


def _add(
    module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, stretch: torch.Tensor | None
) -> torch.Tensor:
    down, up = module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight
    scaling, dropout = module.scaling[active_adapter], module.lora_dropout[active_adapter]
    if not (result.dtype == down.dtype or torch.is_autocast_enabled(result.device.type)):
        extra = nn.functional.linear(nn.functional.linear(dropout(x).to(down.dtype), down), up) * scaling
        if stretch is None:
            return (result + extra).to(result.dtype)
        bias = 0 if (bias := module.get_base_layer().bias) is None else bias
        return ((result - bias + extra) * stretch + bias).to(result.dtype)
    base, dtype = module.get_base_layer(), result.dtype
    weight = None
    if type(base) is nn.Linear and not base.weight.requires_grad:
        # Both want the same input's gradient, so it is made here once, not by the base layer's own graph.
        weight, result = base.weight, result.detach()
    hidden = dropout.p if isinstance(dropout, nn.Dropout) and dropout.training else 0.0
    settings = _Settings(scaling, hidden, base.bias, getattr(x, "again", None))
    added: torch.Tensor = _Added.apply(result, x.to(dtype), down.to(dtype), up.to(dtype), stretch, weight, settings)
    return added


@torch.no_grad()
def _lengths(module: Any, active_adapter: str) -> torch.Tensor:
    """Of each row of `base + scaling * up @ down`, in fp32, without that matrix."""
    scaling = module.scaling[active_adapter]
    down, up = module.lora_A[active_adapter].weight.float(), module.lora_B[active_adapter].weight.float()
    with torch.autocast(up.device.type, enabled=False):
        weight = _weight(module)
        squares = _squares(module, weight)
        crossed = (weight @ down.T.to(weight.dtype)).float()
        narrow = up @ (down @ down.T)
        added = (up * (crossed * (2 * scaling) + narrow * scaling**2)).sum(dim=1)
        return (squares + added).clamp_(min=torch.finfo(torch.float32).tiny).sqrt_()


def _weight(module: Any) -> torch.Tensor:
    """The base layer's (outputs, inputs), unpacked."""
    from peft.utils.integrations import dequantize_module_weight

    weight: torch.Tensor = dequantize_module_weight(module.get_base_layer())
    return weight.T if getattr(module, "fan_in_fan_out", False) else weight


@torch.no_grad()
def _squares(module: Any, weight: torch.Tensor) -> torch.Tensor:
    """Of the lengths of the base's rows, in fp32; they stay, as the base does."""
    if getattr(module, "squares", None) is None:
        module.squares = torch.linalg.vector_norm(weight, dim=1, dtype=torch.float32).square()
    squares: torch.Tensor = module.squares
    return squares


class _Settings(NamedTuple):
    scaling: float
    hidden: float
    bias: torch.Tensor | None
    again: Again | None = None


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        result: torch.Tensor,
        x: torch.Tensor,
        down: torch.Tensor,
        up: torch.Tensor,
        stretch: torch.Tensor | None,
        weight: torch.Tensor | None,
        settings: _Settings,
    ) -> torch.Tensor:
        flat, shown = x.reshape(-1, x.shape[-1]), None
        if settings.hidden:
            shown = torch.empty(flat.shape, dtype=torch.bool, device=x.device).bernoulli_(1 - settings.hidden)
        narrow = (flat if shown is None else flat * shown) @ down.T
        scaling = settings.scaling / (1 - settings.hidden)
        result.view(-1, result.shape[-1]).addmm_(narrow, up.T, alpha=scaling)
        if stretch is not None:
            result.mul_(stretch)
            if settings.bias is not None:
                result.add_(settings.bias * (1 - stretch))
        ctx.mark_dirty(result)
        _, _, wants_down, wants_up, *_ = ctx.needs_input_grad
        makes = settings.again if wants_down else None
        given = makes.parts if makes else (flat if wants_down else None,)
        kept = (narrow if wants_up else None, None if stretch is None else result)
        ctx.save_for_backward(*kept, down, up, weight, shown, stretch, settings.bias, *given)
        ctx.scaling, ctx.shape, ctx.make = scaling, x.shape, makes and makes.make
        return result

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        narrow, result, down, up, weight, shown, stretch, bias, *given = ctx.saved_tensors
        (grad,) = grads
        towards_stretch = None
        if stretch is not None:
            towards_stretch, grad = _unstretched(grad, result, stretch, bias)
        # Narrow sides first: that way round a product of so unlike sides is several times quicker.
        wide = grad.reshape(-1, grad.shape[-1])
        back = (up.T @ wide.T).T.mul_(ctx.scaling)
        towards_up = (narrow.T @ wide).mul_(ctx.scaling).T if ctx.needs_input_grad[3] else None
        towards_down = towards_x = None
        if ctx.needs_input_grad[2]:
            flat = (ctx.make(*given) if ctx.make else given[0]).to(back.dtype).reshape(-1, ctx.shape[-1])
            towards_down = back.T @ (flat if shown is None else flat * shown)
            del flat
        if ctx.needs_input_grad[1]:
            if shown is None and weight is not None:
                towards_x = product(wide, weight.to(wide.dtype)).addmm_(back, down)
            else:
                towards_x = back @ down if shown is None else (back @ down).mul_(shown)
                towards_x = towards_x if weight is None else product(wide, weight.to(wide.dtype)).add_(towards_x)
            towards_x = towards_x.view(ctx.shape)
        return grad if weight is None else None, towards_x, towards_down, towards_up, towards_stretch, None, None


def _unstretched(
    grad: torch.Tensor, result: torch.Tensor, stretch: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of the stretch and of what was stretched, which is read off the outcome."""
    wide = grad.reshape(-1, grad.shape[-1])
    outcome = result.reshape(wide.shape)
    summed = (wide * outcome).sum(dim=0, dtype=torch.float32)
    if bias is not None:
        summed -= wide.sum(dim=0, dtype=torch.float32) * bias
    # A row that was nothing in the base has no length, hence nothing to learn about it.
    return torch.where(stretch == 0, 0.0, summed / stretch), grad * stretch.to(grad.dtype)
