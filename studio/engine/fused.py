"""A low-rank adapter's product added into its layer's output in one go, forward and backward.

peft makes three tensors of the output's size on the way (the product, the scaled product, the sum) and one more in
backward; here there are none. Scaling is done on the narrow side, and on tensors as narrow as the rank.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def fuse(model: nn.Module) -> None:
    """Have every plain low-rank layer of a peft model add its product in one go; variants (DoRA, ...) keep their own.

    For training: it cannot merge (the export makes its own layers).
    """
    for module in model.modules():
        layer: Any = module
        if getattr(module, "lora_A", None) and not layer.lora_variant:
            for name in layer.lora_A:
                layer.lora_variant[name] = _Fused
            layer.cast_input_dtype_enabled = False  # autocast would cast back what peft has cast to fp32


class _Fused:
    """What peft calls a variant: another way of computing a layer."""

    @staticmethod
    def forward(module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any) -> torch.Tensor:
        """`result + up(down(dropout(x))) * scaling`, in place of `result`."""
        down, up = module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight
        scaling, x = module.scaling[active_adapter], module.lora_dropout[active_adapter](x)
        if not (result.dtype == down.dtype or torch.is_autocast_enabled(result.device.type)):
            product = nn.functional.linear(nn.functional.linear(x.to(down.dtype), down), up)
            return (result + product * scaling).to(result.dtype)
        dtype = result.dtype
        added: torch.Tensor = _Added.apply(result, x.to(dtype), down.to(dtype), up.to(dtype), scaling)
        return added


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, result: torch.Tensor, x: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        narrow = flat @ down.T
        result.view(-1, result.shape[-1]).addmm_(narrow, up.T, alpha=scaling)
        ctx.mark_dirty(result)
        ctx.save_for_backward(flat, narrow, down, up)
        ctx.scaling, ctx.shape = scaling, x.shape
        return result

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, narrow, down, up = ctx.saved_tensors
        (grad,) = grads
        wide = grad.reshape(-1, grad.shape[-1])
        back = (wide @ up).mul_(ctx.scaling)
        towards_x = (back @ down).view(ctx.shape) if ctx.needs_input_grad[1] else None
        # The narrow side first: that way round the product of so unlike sides is several times quicker.
        towards_up = (narrow.T @ wide).mul_(ctx.scaling).T if ctx.needs_input_grad[3] else None
        towards_down = back.T @ flat if ctx.needs_input_grad[2] else None
        return grad, towards_x, towards_down, towards_up, None
