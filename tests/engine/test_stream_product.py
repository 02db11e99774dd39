"""A product whose weight's gradient is laid where its caller says is torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from studio.engine.stream.product import Product


@pytest.mark.parametrize(
    ("given_dtype", "weight_dtype"),
    [(torch.float32, torch.float32), (torch.float32, torch.bfloat16), (torch.bfloat16, torch.bfloat16)],
)
def test_products_and_gradients_are_those_of_torch(given_dtype: torch.dtype, weight_dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weight, given = torch.randn(24, 16).to(weight_dtype), torch.randn(2, 5, 16).to(given_dtype)
    slope = torch.randn(2, 5, 24).to(weight_dtype)
    ours, theirs = given.clone().requires_grad_(True), given.clone().requires_grad_(True)
    laid, told = torch.full_like(weight, torch.nan), []
    own = nn.Parameter(weight.clone())
    with torch.autocast("cpu", torch.bfloat16, enabled=weight_dtype == torch.bfloat16):
        found = Product.apply(ours, lambda: weight, lambda: laid, told.append)
        expected = nn.functional.linear(theirs, own)
    found.backward(slope)
    expected.backward(slope)
    assert torch.equal(found, expected)
    assert torch.equal(ours.grad, theirs.grad)
    assert torch.equal(laid, own.grad)
    assert len(told) == 1
    assert told[0] is laid


def test_a_gradient_may_take_the_weights_own_memory() -> None:
    weight, given = torch.randn(24, 16), torch.randn(3, 16, requires_grad=True)
    expected = torch.ones(3, 24).T @ given.detach(), torch.ones(3, 24) @ weight
    Product.apply(given, lambda: weight, lambda: weight, lambda laid: None).sum().backward()
    torch.testing.assert_close(weight, expected[0])
    torch.testing.assert_close(given.grad, expected[1])
