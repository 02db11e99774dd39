"""The learning rate at each step, as a pure function: nothing to save, nothing to restore."""

from __future__ import annotations

import math


def factor(step: int, *, total: int, schedule: str, warmup: float) -> float:
    """The share of the full learning rate at optimizer step `step` (the first is 1).

    Warm-up rises linearly and reaches the full rate after its last step; then the schedule falls to 0 at the end.

    Args:
        total: optimizer steps of the whole run.
        schedule: "constant", "linear" or "cosine".
        warmup: a share of `total` below 1, or a number of steps.
    """
    rise = warmup_steps(total, warmup)
    done = step - 1
    if done < rise:
        return (done + 1) / (rise + 1)
    progress = (done - rise) / max(1, total - rise)
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return 1.0 - progress
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def warmup_steps(total: int, warmup: float) -> int:
    """Steps of warm-up: a share below 1 of `total`, else the number itself."""
    return round(warmup * total) if warmup < 1 else int(warmup)
