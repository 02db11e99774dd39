"""From fp32 to a shorter dtype without losing what is learned on the way."""

from __future__ import annotations

import torch


def round_at_random(values: torch.Tensor, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Round to a neighbour with odds by nearness, so that many small changes add up to their sum on average.

    Plain rounding to bf16 forgets every change below a 256th of the weight, which at usual learning rates is most.

    Args:
        values: fp32.
        dtype: float32 (nothing to do), bfloat16, or another one (rounded plainly).
        generator: on the values' device, for a draw on the CPU would take longer than the step.
    """
    if dtype == torch.float32 or values.numel() == 0:
        return values
    if dtype != torch.bfloat16:
        return values.to(dtype)
    noise = torch.randint(0, 1 << 16, values.shape, dtype=torch.int32, generator=generator, device=values.device)
    bits = values.contiguous().view(torch.int32) + noise
    return (bits & -(1 << 16)).view(torch.float32).to(torch.bfloat16)
