"""Threads that read ahead and write behind, so that computing and the drive run beside each other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from studio.engine.stream.buffers import Buffer
from studio.machine.drive_file import REQUEST_BYTES, DriveFile
from studio.methods._streamed import BEHIND_BYTES

_READERS = 4
_WRITERS = 2
"""Threads for each drive."""


@dataclass
class Counts:
    """What passed, in bytes, and how long training waited for it, in seconds."""

    read: int = 0
    written: int = 0
    waited: float = 0.0


@dataclass
class Reading:
    """A buffer that is being filled; `check` is asked of it once it is."""

    buffer: Buffer
    futures: list[Future[None]] = field(default_factory=list)
    check: Callable[[Buffer], None] | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the buffer is one that stays in memory."""
        return not self.futures

    @property
    def is_done(self) -> bool:
        return all(future.done() for future in self.futures)


Watch = Callable[[str, float, int], None]
"""(what was done, when it began by `time.perf_counter`, bytes), called when it ends and on the thread that did it."""


class Traffic:
    """All reading and writing of a store.

    Args:
        drives: that it lies on.

    Attributes:
        counts: since the beginning.
        watch: told of each read, write and wait, for a picture of a step; nobody listens at first.
    """

    def __init__(self, drives: int = 1) -> None:
        self.counts = Counts()
        self.watch: Watch = _unwatched
        self._readers = ThreadPoolExecutor(_READERS * drives, thread_name_prefix="read-ahead")
        self._writers = ThreadPoolExecutor(_WRITERS * drives, thread_name_prefix="write-behind")
        self._behind: deque[tuple[int, Future[None], Callable[[], None]]] = deque()

    def read(self, file: DriveFile, buffer: Buffer, places: list[tuple[int, int, int]]) -> Reading:
        """Begin to fill a buffer.

        Args:
            places: (offset in the file, start and end in the buffer) of each piece.
        """
        reading = Reading(buffer)
        memory = memoryview(buffer.memory)
        for offset, start, end in places:
            for at in range(start, end, REQUEST_BYTES):
                piece = memory[at : min(end, at + REQUEST_BYTES)]
                reading.futures.append(self._readers.submit(self._move, "read", file.read, piece, offset + at - start))
            self.counts.read += end - start
        return reading

    def wait(self, reading: Reading) -> Buffer:
        """The filled buffer.

        Raises:
            UserError: the drive failed, or gave back something else than was written.
        """
        begun = time.perf_counter()
        for future in reading.futures:
            future.result()
        if reading.check is not None:
            reading.check(reading.buffer)
        self._waited(begun)
        return reading.buffer

    def write(
        self, file: DriveFile, buffer: Buffer, offset: int, start: int, end: int, then: Callable[[], None]
    ) -> None:
        """Begin to write a part of a buffer, which must not change until then; `then` is called when it may."""
        memory = memoryview(buffer.memory)
        for at in range(start, end, REQUEST_BYTES):
            stop = min(end, at + REQUEST_BYTES)
            future = self._writers.submit(self._move, "write", file.write, memory[at:stop], offset + at - start)
            self._behind.append((stop - at, future, then if stop == end else _nothing))
        self.counts.written += end - start
        self._settle(BEHIND_BYTES)

    def look(self) -> None:
        """See what has been written by now."""
        self._settle(BEHIND_BYTES)

    def drain(self) -> None:
        """Wait until everything is written.

        Raises:
            UserError: the drive is full or failed.
        """
        self._settle(0)

    def run(self, jobs: list[Callable[[], None]]) -> None:
        """Do some things on the writers' threads, all at once."""
        for future in [self._writers.submit(job) for job in jobs]:
            future.result()

    def close(self) -> None:
        """End the threads."""
        self._readers.shutdown(cancel_futures=True)
        self._writers.shutdown(cancel_futures=True)

    def _settle(self, limit: int) -> None:
        begun = time.perf_counter()
        while self._behind and (self._behind[0][1].done() or sum(size for size, _, _ in self._behind) > limit):
            _, future, then = self._behind.popleft()
            future.result()
            then()
        self._waited(begun)

    def _waited(self, begun: float) -> None:
        self.counts.waited += time.perf_counter() - begun
        self.watch("wait", begun, 0)

    def _move(self, what: str, move: Callable[[memoryview, int], None], memory: memoryview, offset: int) -> None:
        begun = time.perf_counter()
        move(memory, offset)
        self.watch(what, begun, len(memory))


def _nothing() -> None:
    """What follows on all pieces of a buffer but the last."""


def _unwatched(what: str, begun: float, size: int) -> None:
    """What happens is noted nowhere."""
