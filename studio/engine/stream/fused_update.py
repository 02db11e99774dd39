"""The compiled step of schemes (fused_update.c): found, tried, and called.

On a processor it takes a seventh to a half of the time of torch's passes (python -m tests.bench.update). Setup compiles
it where there is a C compiler; without it, and on a card, torch does the same arithmetic.
"""

from __future__ import annotations

import ctypes
import functools
import math

import torch

from studio.engine.stream.adamw import Hyper, adamw
from studio.machine.compiled import compiled_path, load_compiled

_TRIED = 1003
"""Numbers that scheme C is tried on: whole vectors, and a rest."""


class _Hyper(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_float)
        for name in ("scale", "keep", "rate", "new1", "old2", "new2", "root", "divisor", "epsilon")
    ]


@functools.cache
def library() -> ctypes.CDLL | None:
    """None where setup made none, or none that can be loaded here: `tunesmith doctor` says which."""
    path = compiled_path()
    try:
        return load_compiled(path) if path else None
    except OSError:
        return None


def offers(scheme: str, device: torch.device) -> bool:
    """Whether a scheme's steps on this device are compiled."""
    loaded = library()
    if device.type != "cpu" or loaded is None:
        return False
    return scheme not in ("C", "D") or (bool(loaded.tunesmith_fuses()) and (scheme == "D" or _is_exact()))


@functools.cache
def _is_exact() -> bool:
    """Whether scheme C keeps the bits of torch's own AdamW, whose order of additions is nowhere promised."""
    draw = torch.Generator().manual_seed(0)
    for beta1, beta2 in ((0.9, 0.999), (0.4, 0.9)):  # torch averages in two ways
        weights, rest = (torch.zeros(_TRIED, dtype=torch.int16) for _ in range(2))
        record = {"r": rest, "m": torch.zeros(_TRIED), "v": torch.zeros(_TRIED)}
        expected = [torch.zeros(_TRIED) for _ in range(3)]
        for step in range(1, 4):
            gradient = torch.randn(_TRIED, generator=draw) * torch.logspace(-12, 2, _TRIED)
            hyper = Hyper(step, 1e-3, beta1, beta2)
            adamw(expected[0], gradient, expected[1], expected[2], 0.1, hyper)
            learn("C", weights, record, gradient, scale=1.0, decay=0.1, hyper=hyper, seed=0)
        master = (weights.int() << 16).add_(rest).view(torch.float32)
        if not all(map(torch.equal, (master, record["m"], record["v"]), expected)):
            return False
    return True


def learn(
    scheme: str,
    weights: torch.Tensor,
    record: dict[str, torch.Tensor],
    gradient: torch.Tensor,
    *,
    scale: float,
    decay: float,
    hyper: Hyper,
    seed: int,
) -> None:
    """One step of numbers that begin with a block, all on the processor.

    Args:
        scheme: one that is offered.
        weights: (numbers,) int16; changed in place, as is `record`.
        record: at least so many numbers in each part; those of their blocks where there are blocks.
        gradient: (numbers,) fp32 or bf16, contiguous; `scale` multiplies it.
        seed: of the rounding at random.
    """
    loaded = library()
    assert loaded is not None
    beta1, beta2 = hyper.beta1, hyper.beta2
    rate, divisor = hyper.rate / (1 - beta1**hyper.step), math.sqrt(1 - beta2**hyper.step)
    told = _Hyper(
        scale,
        1 - hyper.rate * decay,
        rate,
        1 - beta1,
        beta2,
        1 - beta2,
        1 / divisor,
        divisor,
        hyper.epsilon,
    )
    parts = (weights, *(record.get(name) for name in ("r", "m", "v", "ms", "vs")))
    loaded.tunesmith_learn(
        ctypes.c_int64(len(weights)),
        ctypes.c_int(ord(scheme)),
        *(ctypes.c_void_p(None if part is None else part.data_ptr()) for part in parts),
        *_told(gradient),
        ctypes.c_uint32(seed & 0xFFFFFFFF),
        ctypes.byref(told),
    )


def squares(gradient: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows,) and (columns,) in fp32: mean squares of a gradient (rows, columns), times the square of `scale`."""
    loaded = library()
    assert loaded is not None
    rows, columns = torch.empty(gradient.shape[0]), torch.zeros(gradient.shape[1])
    loaded.tunesmith_squares(
        *map(ctypes.c_int64, gradient.shape),
        *_told(gradient),
        ctypes.c_float(scale),
        ctypes.c_void_p(rows.data_ptr()),
        ctypes.c_void_p(columns.data_ptr()),
    )
    return rows.div_(gradient.shape[1]), columns.div_(gradient.shape[0])


def learn_matrix(
    weights: torch.Tensor,
    gradient: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
    *,
    scale: float,
    decay: float,
    rate: float,
    seed: int,
) -> None:
    """One step of scheme I, all on the processor.

    Args:
        weights: int16, as many as the gradient (rows, columns) has; changed in place.
        rows, columns: fp32, whose products are what gradients are divided by the square root of.
        seed: of the rounding at random.
    """
    loaded = library()
    assert loaded is not None
    assert rows.dtype == columns.dtype == torch.float32
    assert rows.is_contiguous()
    assert columns.is_contiguous()
    told = _Hyper(scale=scale, keep=1 - rate * decay, rate=rate)
    loaded.tunesmith_learn_matrix(
        *map(ctypes.c_int64, gradient.shape),
        *(ctypes.c_void_p(part.data_ptr()) for part in (weights, rows, columns)),
        *_told(gradient),
        ctypes.c_uint32(seed & 0xFFFFFFFF),
        ctypes.byref(told),
    )


def _told(gradient: torch.Tensor) -> tuple[ctypes.c_void_p, ctypes.c_int]:
    assert gradient.dtype in (torch.float32, torch.bfloat16)
    assert gradient.is_contiguous()
    return ctypes.c_void_p(gradient.data_ptr()), ctypes.c_int(gradient.dtype == torch.float32)
