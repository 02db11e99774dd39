"""How fast this computer is: large products, copies in memory and to the card, the disk. Some seconds in all."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from studio.engine.products import product
from studio.machine.bench import Speeds
from studio.machine.drive import measure_drive

_SECONDS = 0.5  # of each figure
_CPU_SIZE, _CARD_SIZE = 1024, 4096
_COPIED = 256 << 20
_FILE = 256 << 20


def measure_speeds(folder: Path, on_progress: Callable[[str], None] = lambda what: None) -> Speeds:
    """Measure everything that is there.

    Args:
        folder: on the disk that is measured; half a gigabyte is written there and removed.
        on_progress: told what is being measured.
    """
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    matmul, memory = {}, {}
    for device in devices:
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            on_progress(f"{device} in {precision}")
            matmul[f"{device} {precision}"] = _matmul(device, dtype)
        on_progress(f"memory of {device}")
        memory[device] = _copies(device)
    on_progress("disk")
    drive = measure_drive(folder, size=_FILE)
    return Speeds(matmul, memory, _pcie() if "cuda" in devices else 0.0, drive.read, drive.write, drive.both)


def _matmul(device: str, dtype: torch.dtype) -> float:
    """Operations a second; fp32 as training has it, without TF32."""
    size = _CPU_SIZE if device == "cpu" else _CARD_SIZE
    a, b = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    return 2 * size**3 * _rate(lambda: product(a, b), device)


def _copies(device: str) -> float:
    """Bytes a second, read and written both counted."""
    size = _COPIED if device == "cpu" else 4 * _COPIED
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * size * _rate(lambda: target.copy_(source), device)


def _pcie() -> float:
    source = torch.zeros(_COPIED, dtype=torch.uint8).pin_memory()
    target = torch.zeros(_COPIED, dtype=torch.uint8, device="cuda")
    return _COPIED * _rate(lambda: target.copy_(source, non_blocking=True), "cuda")


def _rate(work: Callable[[], object], device: str) -> float:
    """How often a second; the best of several goes, because other programs only ever slow one down."""
    work()
    _finish(device)
    best, until = 0.0, time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        begun = time.perf_counter()
        work()
        _finish(device)
        best = max(best, 1 / (time.perf_counter() - begun))
    return best


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
