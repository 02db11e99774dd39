"""Large products in fp32 by oneDNN, on processors for which MKL has no such kernels.

torch multiplies fp32 on a processor by MKL, which gives those of other makers than its own kernels for AVX2 alone;
oneDNN, which torch has for 16 bits, asks what a processor can do. On an AMD with AVX-512 it takes half of the time
(`python -m tests.bench.products`), of equally exact sums. A kernel is made for each size once, so small products stay
where they were.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import torch
from torch import nn

from studio.machine.resources import is_of_intel

_LEAST = 1 << 27
"""Products of two numbers; below, making a kernel for a new number of rows would cost more than it saves."""
_KERNELS = "128"
"""A decoder's step with LoRA on matrices of four shapes uses some 90, with DoRA 112; of up to 1 MB each."""
_KEEPERS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""oneDNN, and what torch reaches it by."""
_plain = nn.functional.linear


def use_quick_products() -> None:
    """Have every linear layer of this process work so, where it is quicker; can be called again."""
    if is_quicker():
        nn.functional.linear = linear


def keep_few_kernels() -> None:
    """Have oneDNN forget kernels; of use before its first product in a process.

    It makes one for each size of a product, so for each number of rows, and it and torch keep 1,024 each: three
    products of one matrix with 200 numbers of rows in bf16 leave 0.76 GB behind, 0.18 GB so (tests/engine/
    test_products.py). A step's lengths hardly ever come again, and its layers find the step's own kernels.
    """
    for name in _KEEPERS:
        os.environ.setdefault(name, _KERNELS)


@functools.cache
def is_quicker() -> bool:
    """By kind of processor and not by measuring: a run that is resumed computes as it did."""
    has_both = torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()
    return has_both and torch.backends.cpu.get_cpu_capability() == "AVX512" and not is_of_intel()


def linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """`nn.functional.linear`; shapes and errors are its own."""
    if _suits(input, weight):
        out: torch.Tensor = _Linear.apply(input, weight, bias)
        return out
    return _plain(input, weight, bias)


def product(rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """(rows, inner) @ (inner, columns), without a graph."""
    if is_quicker() and _suits(rows, matrix.T):
        return _quick(rows, matrix.T)
    return rows @ matrix


def _suits(rows: torch.Tensor, weight: torch.Tensor) -> bool:
    return (
        type(rows) is torch.Tensor  # not a tensor without values, in parts or in 4 bits
        and type(weight) in (torch.Tensor, nn.Parameter)
        and rows.dtype == weight.dtype == torch.float32
        and rows.device.type == "cpu"
        and rows.numel() * len(weight) >= _LEAST
        and not torch.is_autocast_enabled("cpu")
    )


def _quick(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return out


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        wants_rows, wants_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(rows if wants_weight else None, weight if wants_rows else None)
        return _quick(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        flat = grads[0].reshape(-1, grads[0].shape[-1])
        to_rows = None if weight is None else product(flat, weight).view(*grads[0].shape[:-1], -1)
        to_weight = None if rows is None else flat.T @ rows.reshape(-1, rows.shape[-1])
        return to_rows, to_weight, flat.sum(0) if ctx.needs_input_grad[2] else None
