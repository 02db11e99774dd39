"""Memory for the drive to read into: page-aligned, of exactly the size that is needed, and used again.

One pool by size (MemAscend, arXiv 2505.23254: equal slots waste three quarters of the memory; rounding up to powers of
two wastes more). On a machine with a card the memory is registered with it, so that copies run beside computing.
"""

from __future__ import annotations

import mmap
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Buffer:
    """A piece of memory and how torch sees it (bytes)."""

    memory: mmap.mmap
    bytes: torch.Tensor

    def view(self, dtype: torch.dtype, start: int = 0, end: int | None = None) -> torch.Tensor:
        """Bytes from `start` to `end` as numbers."""
        return self.bytes[start:end].view(dtype)


class _Count:
    """Bytes of a pool's buffers. Apart from the pool, which each buffer would else keep alive."""

    def __init__(self) -> None:
        self.bytes = 0
        self._lock = threading.RLock()  # a buffer may go while another is counted

    def add(self, size: int) -> None:
        with self._lock:
            self.bytes += size


class BufferPool:
    """Buffers by size. One that nobody holds goes back to the system."""

    def __init__(self, *, pinned: bool) -> None:
        self._pinned = pinned
        self._free: dict[int, list[Buffer]] = {}
        self._lock = threading.Lock()
        self._count = _Count()

    @property
    def held_bytes(self) -> int:
        """Of all buffers, in use or waiting."""
        return self._count.bytes

    def take(self, size: int) -> Buffer:
        """A buffer of this size; what is in it is left over."""
        with self._lock:
            waiting = self._free.get(size)
            if waiting:
                return waiting.pop()
            self._count.add(size)
            if not self._pinned:  # registering with a card takes far longer than fresh memory
                self._forgo(size)
        return self._make(size)

    def give(self, buffer: Buffer) -> None:
        """Back for the next one who needs this size."""
        with self._lock:
            self._free.setdefault(len(buffer.memory), []).append(buffer)

    def _forgo(self, size: int) -> None:
        """Let free buffers of other sizes go for a new one: kinds of units are not at their most at the same time."""
        for other in sorted(self._free, reverse=True):
            while size > 0 and self._free[other]:
                self._free[other].pop()
                size -= other

    def _make(self, size: int) -> Buffer:
        memory = _anonymous(size)
        seen = torch.frombuffer(memory, dtype=torch.uint8)
        if self._pinned:
            _register(seen)
        buffer = Buffer(memory, seen)
        weakref.finalize(buffer, _went, self._count, size, seen.data_ptr() if self._pinned else None).atexit = False
        return buffer


def _went(count: _Count, size: int, address: int | None) -> None:
    """Nobody has a buffer any more. A card must know before other memory lies at its address."""
    if address is not None:
        torch.cuda.synchronize()  # a copy may still be under way
        torch.cuda.cudart().cudaHostUnregister(address)
    count.add(-size)


def _anonymous(size: int) -> mmap.mmap:
    """Private where the system tells the two apart: shared memory would outlive and be counted otherwise."""
    options: dict[str, Any] = {}
    if hasattr(mmap, "MAP_PRIVATE") and hasattr(mmap, "MAP_ANONYMOUS"):
        options["flags"] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return mmap.mmap(-1, size, **options)


def _register(seen: torch.Tensor) -> None:
    """Exact size, unlike torch's own pinned allocator. Memory that a driver refuses is slower, and works."""
    torch.cuda.cudart().cudaHostRegister(seen.data_ptr(), seen.numel(), 0)
