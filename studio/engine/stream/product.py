"""The product of a linear layer whose weight's gradient takes the weight's own memory.

Going back, a weight is used once, for the gradient of what the layer was given; after that its own gradient may lie
where it lay. A matrix and its gradient in fp32 are most of what a streamed step holds, so this is half of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class Product(torch.autograd.Function):
    """(..., inputs) -> (..., outputs): the products that torch makes of `nn.Linear` without bias, to the bit.

    Args:
        take: gives the weight (outputs, inputs), each time it is called, in memory that may be written over.
        give: told that the gradient lies there instead.
    """

    @staticmethod
    def forward(
        ctx: Any, given: torch.Tensor, take: Callable[[], torch.Tensor], give: Callable[[], None]
    ) -> torch.Tensor:
        ctx.save_for_backward(given)
        ctx.take, ctx.give = take, give
        return nn.functional.linear(given, take())

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (given,) = ctx.saved_tensors
        weight = ctx.take()
        gradient = grads[0].reshape(-1, len(weight))
        back = (gradient @ weight).view(given.shape)
        torch.mm(gradient.T, given.reshape(-1, given.shape[-1]), out=weight)
        ctx.give()
        return back, None, None
