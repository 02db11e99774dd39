"""The product of a linear layer whose weight's gradient is laid where its caller says.

Going back, a weight is used once, for the gradient of what the layer was given; after that its own gradient may lie
where it lay. A matrix and its gradient in fp32 are most of what a streamed step holds, so this is half of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from studio.engine.products import product


class Product(torch.autograd.Function):
    """(..., inputs) -> (..., outputs): the products that torch makes of `nn.Linear` without bias, to the bit.

    Args:
        take: gives the weight (outputs, inputs), each time it is called.
        place: gives memory for its gradient, of the weight's shape and dtype; the weight's own, if it will.
        give: told that the gradient lies there.
    """

    @staticmethod
    def forward(
        ctx: Any,
        given: torch.Tensor,
        take: Callable[[], torch.Tensor],
        place: Callable[[], torch.Tensor],
        give: Callable[[torch.Tensor], None],
    ) -> torch.Tensor:
        weight = take()
        narrow = given.to(weight.dtype)
        ctx.save_for_backward(narrow)
        ctx.take, ctx.place, ctx.give, ctx.dtype = take, place, give, given.dtype
        return nn.functional.linear(narrow, weight)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (given,) = ctx.saved_tensors
        weight = ctx.take()
        gradient = grads[0].reshape(-1, len(weight))
        back = product(gradient, weight).view(given.shape).to(ctx.dtype)
        own = ctx.place()
        torch.mm(gradient.T, given.reshape(-1, given.shape[-1]), out=own)
        ctx.give(own)
        return back, None, None, None
