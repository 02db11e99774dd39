"""4-bit layers and stacks of experts without values: bitsandbytes' shape and memory, for models without weights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit
from torch import nn

_BLOCK, _NESTED = 64, 256


def packed(like: torch.Tensor) -> nn.Parameter:
    """What a matrix or stack becomes in NF4 with double quantisation, by its size."""
    size, device = like.numel(), like.device
    parameter = nn.Parameter(torch.empty(size // 2, 1, dtype=torch.uint8, device=device), requires_grad=False)
    beside = SimpleNamespace(absmax=torch.empty(-(-size // _BLOCK // _NESTED), device=device), code=torch.empty(256))
    absmax = torch.empty(-(-size // _BLOCK), dtype=torch.uint8, device=device)
    parameter.quant_state = SimpleNamespace(absmax=absmax, code=torch.empty(16), state2=beside)
    return parameter


class PackedLayer(Linear4bit):
    """Takes the memory that a `Linear4bit` in NF4 with double quantisation takes, and unpacks as it does."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        """Stand in for `layer`."""
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.compute_dtype = layer.in_features, layer.out_features, dtype
        self.weight = packed(layer.weight)
        self.weight.compress_statistics, self.weight.quant_type = True, "nf4"
        self.bias = layer.bias

    @property
    def W_q(self) -> torch.Tensor:  # what peft looks for in a layer that can unpack itself (for DoRA)
        """As it lies in memory."""
        return self.weight

    def dequantize(self) -> torch.Tensor:
        """All of the weight, unpacked."""
        return self.weight.new_empty(self.out_features, self.in_features, dtype=self.compute_dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Unpack, multiply, forget."""
        out: torch.Tensor = _Unpacked.apply(x.to(self.compute_dtype), self.out_features)
        out = out if self.bias is None else out + self.bias.to(self.compute_dtype)
        return out.to(x.dtype)


class _Unpacked(torch.autograd.Function):
    """A product with a weight that exists only while it is used, in both directions."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, outputs: int) -> torch.Tensor:
        ctx.outputs, ctx.inputs = outputs, x.shape[-1]
        return x @ x.new_empty(outputs, x.shape[-1]).T

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad,) = grads
        return grad @ grad.new_empty(ctx.outputs, ctx.inputs), None
