"""Memory by kind while training: from the allocator on a GPU, from tracked tensors and the process on the CPU.

Events leave from a thread of their own, so that they come when a step takes long; tensors are counted by the thread
that trains.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import torch

from studio.engine.prepared import Prepared
from studio.engine.spill import SpillWatch
from studio.machine.resources import read_gpus
from studio.protocol.events import Memory, Notice

PERIOD_SECONDS = 1.0


class MemorySampler:
    """Emits a `memory` event each second between `start` and `stop`.

    Args:
        emit: takes events from another thread.
        baseline_ram: bytes the process had before the model was loaded (interpreter and libraries).
    """

    def __init__(self, emit: Callable[[Memory | Notice], None], *, baseline_ram: int) -> None:
        self.step = 0
        self._emit = emit
        self._baseline = baseline_ram
        self._process = psutil.Process()
        self._start_io = _io(self._process)
        # Asked of the driver, because torch would start CUDA only to answer.
        self._spill = {gpu.index: SpillWatch(gpu.total_bytes - gpu.free_bytes) for gpu in read_gpus()}
        self._card = 0
        self._watched: tuple[Prepared, torch.optim.Optimizer] | None = None
        self._tracked: dict[str, dict[str, int]] = {}
        self._looked_at = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="memory")

    def watch(self, prepared: Prepared, optimizer: torch.optim.Optimizer) -> None:
        """Split by kind from now on. To be called by the thread that trains: in another, CUDA's current card is 0."""
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            self._card = torch.cuda.current_device()
        self._watched = (prepared, optimizer)
        self._tracked = _track(prepared, optimizer)

    def look(self) -> None:
        """Count tensors by kind, once a second. To be called by the thread that trains, when gradients are there.

        No other thread may: autograd sets and frees gradients without Python's lock, and to read one at that moment
        is a crash (seen: "free(): corrupted unsorted chunks").
        """
        now = time.monotonic()
        if self._watched and now - self._looked_at >= PERIOD_SECONDS:
            self._looked_at = now
            self._tracked = _track(*self._watched)

    def start(self) -> None:
        """Begin sampling."""
        self._thread.start()

    def stop(self) -> None:
        """Sample once more and end."""
        self._ended.set()
        self._thread.join()

    def sample(self) -> Memory:
        """Bytes in use now."""
        tracked = self._tracked
        ram = {kind: sizes.get("cpu", 0) for kind, sizes in tracked.items()}
        used = self._process.memory_info().rss
        ram["other"] = min(used, self._baseline)
        rest = "other" if tracked.get("weights", {}).get("cuda") else "activations"  # a card has its own
        ram[rest] = ram.get(rest, 0) + max(0, used - sum(ram.values()))
        io = _io(self._process)
        disk = {"read": io[0] - self._start_io[0], "written": io[1] - self._start_io[1]}
        return Memory(step=self.step, ram=ram, gpu=_gpu(tracked, self._card), disk=disk)

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self._emit(self.sample())
            self._look_for_spill()
        self._emit(self.sample())

    def _look_for_spill(self) -> None:
        if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
            return
        watch = self._spill.get(self._card)
        reserved, (free, total) = torch.cuda.memory_reserved(self._card), torch.cuda.mem_get_info(self._card)
        notice = watch.look(reserved, free, total) if watch else None
        if notice:
            self._emit(notice)


def _track(prepared: Prepared, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, int]]:
    """Kind -> device type -> bytes of weights, adapter, gradients and optimizer state."""
    own = {id(p): p for p in prepared.model.parameters()}
    beside = {id(p): p for p in prepared.trainable().values() if id(p) not in own}  # stand-ins of a model's weights
    trained = [p for p in own.values() if p.requires_grad]
    frozen = [p for p in own.values() if not p.requires_grad]
    states = [v for state in optimizer.state.values() for v in state.values() if torch.is_tensor(v)]
    kind = "adapter" if hasattr(prepared.model, "peft_config") else "weights"
    sizes = {
        "weights": _bytes([*frozen, *prepared.model.buffers()]),
        "adapter": _bytes(beside.values()),
        "gradients": _bytes(p.grad for p in [*trained, *beside.values()] if p.grad is not None),
        "optimizer": _bytes(states),
        "cache": {"cpu": prepared.cached_bytes()},
    }
    for device, size in _bytes(trained).items():
        sizes[kind][device] = sizes[kind].get(device, 0) + size
    return sizes


def _bytes(tensors: Iterable[Any]) -> dict[str, int]:
    total: dict[str, int] = {}
    for tensor in tensors:
        tensor = getattr(tensor, "to_local", lambda whole=tensor: whole)()  # of a model in parts, this process's
        size = min(tensor.nbytes, tensor.untyped_storage().nbytes())  # what stands for a streamed matrix has no memory
        total[tensor.device.type] = total.get(tensor.device.type, 0) + size
    return total


def _gpu(tracked: dict[str, dict[str, int]], card: int) -> dict[str, int]:
    """From torch's allocator: what is not tracked but allocated is activations; reserved but unused is cache."""
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return {}
    gpu = {kind: sizes.get("cuda", 0) for kind, sizes in tracked.items()}
    allocated, reserved = torch.cuda.memory_allocated(card), torch.cuda.memory_reserved(card)
    free, total = torch.cuda.mem_get_info(card)
    gpu["activations"] = max(0, allocated - sum(gpu.values()))
    gpu["cache"] = max(0, reserved - allocated)
    gpu["other"] = max(0, total - free - reserved)
    return gpu


def _io(process: psutil.Process) -> tuple[int, int]:
    """Bytes read and written by this process; (0, 0) on systems that do not tell (macOS)."""
    counters = getattr(process, "io_counters", None)
    if counters is None:
        return 0, 0
    io = counters()
    return io.read_bytes, io.write_bytes
