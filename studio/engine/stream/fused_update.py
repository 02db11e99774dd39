"""The compiled step of schemes E and F (fused_update.c): found, and called.

On a processor it takes a seventh of the time of torch's passes (python -m tests.bench.update). Setup compiles it where
there is a C compiler; without it, and on a card, torch does the same arithmetic.
"""

from __future__ import annotations

import ctypes
import functools

import torch

from studio.machine.compiled import compiled_path, load_compiled


class _Hyper(ctypes.Structure):
    _fields_ = [(name, ctypes.c_float) for name in ("scale", "keep", "rate", "new1", "old2", "new2", "root", "epsilon")]


@functools.cache
def library() -> ctypes.CDLL | None:
    """None where setup made none, or none that can be loaded here: `tunesmith doctor` says which."""
    path = compiled_path()
    try:
        return load_compiled(path) if path else None
    except OSError:
        return None


def learn(
    weights: torch.Tensor,
    record: dict[str, torch.Tensor],
    gradient: torch.Tensor,
    *,
    scale: float,
    decay: float,
    step: int,
    rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    seed: int,
) -> None:
    """One step of numbers that begin with a block, all on the processor.

    Args:
        weights: (numbers,) int16; changed in place, as is `record`.
        record: at least so many numbers in each part; those of their blocks.
        gradient: (numbers,) fp32 or bf16, contiguous; `scale` multiplies it.
        seed: of the rounding at random.
    """
    loaded = library()
    assert loaded is not None
    assert gradient.dtype in (torch.float32, torch.bfloat16)
    assert gradient.is_contiguous()
    rate, keep, root = rate / (1 - beta1**step), 1 - rate * decay, (1 - beta2**step) ** -0.5
    hyper = _Hyper(scale, keep, rate, 1 - beta1, beta2, 1 - beta2, root, epsilon)
    parts = (weights, *(record[name] for name in ("r", "m", "v", "ms", "vs")))
    loaded.tunesmith_learn(
        ctypes.c_int64(len(weights)),
        ctypes.c_int(record["r"].dtype == torch.int8),
        *(ctypes.c_void_p(part.data_ptr()) for part in parts),
        ctypes.c_void_p(gradient.data_ptr()),
        ctypes.c_int(gradient.dtype == torch.float32),
        ctypes.c_uint32(seed & 0xFFFFFFFF),
        ctypes.byref(hyper),
    )
