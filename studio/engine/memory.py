"""Memory by kind while training, sampled off the training thread: from the allocator on a GPU, from tracked tensors
and the process on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import torch

from studio.engine.prepared import Prepared
from studio.protocol.events import Memory

PERIOD_SECONDS = 1.0


class MemorySampler:
    """Emits a `memory` event each second between `start` and `stop`.

    Args:
        emit: takes events from another thread.
        baseline_ram: bytes the process had before the model was loaded (interpreter and libraries).
    """

    def __init__(self, emit: Callable[[Memory], None], *, baseline_ram: int) -> None:
        self.step = 0
        self._emit = emit
        self._baseline = baseline_ram
        self._process = psutil.Process()
        self._start_io = _io(self._process)
        self._watched: tuple[Prepared, torch.optim.Optimizer] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="memory")

    def watch(self, prepared: Prepared, optimizer: torch.optim.Optimizer) -> None:
        """Split by kind from now on."""
        self._watched = (prepared, optimizer)

    def start(self) -> None:
        """Begin sampling."""
        self._thread.start()

    def stop(self) -> None:
        """Sample once more and end."""
        self._ended.set()
        self._thread.join()

    def sample(self) -> Memory:
        """Bytes in use now."""
        tracked = _tracked(*self._watched) if self._watched else {}
        ram = {kind: sizes.get("cpu", 0) for kind, sizes in tracked.items()}
        used = self._process.memory_info().rss
        ram["other"] = min(used, self._baseline)
        ram["activations"] = max(0, used - sum(ram.values()))
        io = _io(self._process)
        disk = {"read": io[0] - self._start_io[0], "written": io[1] - self._start_io[1]}
        return Memory(step=self.step, ram=ram, gpu=_gpu(tracked), disk=disk)

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self._emit(self.sample())
        self._emit(self.sample())


def _tracked(prepared: Prepared, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, int]]:
    """Kind -> device type -> bytes of weights, adapter, gradients and optimizer state."""
    own = {id(p): p for p in prepared.model.parameters()}
    beside = {id(p): p for p in prepared.trainable().values() if id(p) not in own}  # stand-ins of a model's weights
    trained = [p for p in own.values() if p.requires_grad]
    frozen = [p for p in own.values() if not p.requires_grad]
    states = [v for state in list(optimizer.state.values()) for v in list(state.values()) if torch.is_tensor(v)]
    kind = "adapter" if hasattr(prepared.model, "peft_config") else "weights"
    sizes = {
        "weights": _bytes([*frozen, *prepared.model.buffers()]),
        "adapter": _bytes(beside.values()),
        # The training thread lets gradients go at any moment: each is looked at once.
        "gradients": _bytes(grad for p in [*trained, *beside.values()] if (grad := p.grad) is not None),
        "optimizer": _bytes(states),
    }
    for device, size in _bytes(trained).items():
        sizes[kind][device] = sizes[kind].get(device, 0) + size
    return sizes


def _bytes(tensors: Iterable[Any]) -> dict[str, int]:
    total: dict[str, int] = {}
    for tensor in tensors:
        total[tensor.device.type] = total.get(tensor.device.type, 0) + tensor.nbytes
    return total


def _gpu(tracked: dict[str, dict[str, int]]) -> dict[str, int]:
    """From torch's allocator: what is not tracked but allocated is activations; reserved but unused is cache."""
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return {}
    gpu = {kind: sizes.get("cuda", 0) for kind, sizes in tracked.items()}
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    free, total = torch.cuda.mem_get_info()
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
