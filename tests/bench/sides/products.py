"""16-bit products on a processor that has no units for them: computed in fp32 and rounded, for both sides of a bench.

torch's own way on such a processor takes 7 to 40 times as long, which would drown whatever else is compared. Works by
taking the place of `aten::mm` and `aten::bmm`, so it does not matter who calls them.
"""

from __future__ import annotations

from typing import Any

import torch

_PIECE = 1 << 21
"""Numbers that are fp32 at once, about: a large matrix never exists in both forms."""
_kept: list[Any] = []


def quicken() -> None:
    """Do so where the processor needs it."""
    if _kept or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    library = torch.library.Library("aten", "IMPL")
    library.impl("mm", _mm, "CPU", allow_override=True)
    library.impl("bmm", _bmm, "CPU", allow_override=True)
    _kept.append(library)
    attend = torch.nn.functional.scaled_dot_product_attention

    def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any, **named: Any) -> Any:
        return attend(query.float(), key.float(), value.float(), *rest, **named).to(query.dtype)

    torch.nn.functional.scaled_dot_product_attention = attention


def _mm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(m, k) x (k, n)."""
    out = torch.empty(a.shape[0], b.shape[1], dtype=torch.float32)
    if a.dtype == torch.float32:
        return torch.mm(a, b, out=out)
    if a.dtype != torch.bfloat16:
        return torch.mm(a, b, out=torch.empty(out.shape, dtype=a.dtype))
    _by_columns(a, b, out) if b.numel() >= a.numel() else _by_columns(b.T, a.T, out.T)
    return out.to(torch.bfloat16)


def _by_columns(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
    """`b`, the larger one, in strips; along the sum where that is its long side."""
    rows, columns = b.shape
    wide = a.float()
    if columns >= rows:
        step = max(1, _PIECE // rows)
        for at in range(0, columns, step):
            out[:, at : at + step] = torch.mm(wide, b[:, at : at + step].float(), out=torch.empty(0))
        return
    out.zero_()
    step = max(1, _PIECE // columns)
    for at in range(0, rows, step):
        torch.addmm(out, wide[:, at : at + step], b[at : at + step].float(), out=out)


def _bmm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    dtype = torch.float32 if a.dtype == torch.bfloat16 else a.dtype
    out = torch.empty(a.shape[0], a.shape[1], b.shape[2], dtype=dtype)
    return torch.bmm(a.to(dtype), b.to(dtype), out=out).to(a.dtype)
