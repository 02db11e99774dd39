"""How fast a folder's drive reads and writes large pieces, alone and both at once: measured, in about two seconds."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from studio.machine.drive_file import REQUEST_BYTES, DriveFile, make_file

_THREADS = 4


@dataclass(frozen=True)
class DriveSpeeds:
    """Bytes a second.

    Attributes:
        read, write: each alone.
        both: read and written together, in sum.
        is_direct: whether the page cache was passed by; without, these are too good.
    """

    read: float
    write: float
    both: float
    is_direct: bool

    def seconds(self, read_bytes: float, write_bytes: float) -> float:
        """The least time for so much traffic: one after the other, or both at once where that is faster."""
        apart = read_bytes / self.read + write_bytes / self.write
        return min(apart, max((read_bytes + write_bytes) / self.both, read_bytes / self.read, write_bytes / self.write))


def measure_drive(folder: Path, *, size: int = 256 << 20) -> DriveSpeeds:
    """Measure with files of `size` bytes in `folder`, removed afterwards.

    Raises:
        UserError: there is no room, or the drive fails.
    """
    with TemporaryDirectory(prefix=".drive-", dir=folder) as name, ThreadPoolExecutor(_THREADS) as threads:
        files = []
        for number in range(2):
            make_file(Path(name) / str(number), size)
            files.append(DriveFile(Path(name) / str(number)))
        one, other = files
        pieces = [memoryview(mmap.mmap(-1, REQUEST_BYTES)) for _ in range(2 * _THREADS)]
        write = _rate(threads, _jobs(one.write, pieces, size), one, size)
        _rate(threads, _jobs(other.write, pieces, size), other, size)
        read = _rate(threads, _jobs(one.read, pieces, size), one, size)
        pairs = zip(_jobs(one.read, pieces, size), _jobs(other.write, pieces, size), strict=True)
        mixed = [job for pair in pairs for job in pair]
        both = _rate(threads, mixed, other, 2 * size)
        for file in files:
            file.close()
        return DriveSpeeds(read, write, both, one.is_direct)


def _jobs(move: Callable[[memoryview, int], None], pieces: list[memoryview], size: int) -> list[Callable[[], None]]:
    places = range(0, size, REQUEST_BYTES)
    return [partial(move, pieces[number % len(pieces)], at) for number, at in enumerate(places)]


def _rate(threads: ThreadPoolExecutor, jobs: list[Callable[[], None]], file: DriveFile, size: int) -> float:
    begun = time.perf_counter()
    for future in [threads.submit(job) for job in jobs]:
        future.result()
    file.flush()
    return size / max(1e-9, time.perf_counter() - begun)
