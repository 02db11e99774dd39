"""One file for streaming: read and written at given places, past the page cache where the file system allows it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from studio.errors import UserError

REQUEST_BYTES = 16 << 20
"""Of one request: drives reach their speed at 8 to 32 MiB, and several are under way at once."""


class DriveFile:
    """A file of fixed size.

    Args:
        path: made by `make_file`.
        direct: whether to try direct input and output; see `is_direct` for what came of it.
    """

    def __init__(self, path: Path, *, direct: bool = True) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._descriptor, self.is_direct = _open(path, direct)

    def read(self, into: memoryview, offset: int) -> None:
        """Fill `into` from `offset`.

        Raises:
            UserError: the drive fails, or the file is shorter than it was.
        """
        done = 0
        try:
            while done < len(into):
                count = self._read(into[done:], offset + done)
                if not count:
                    raise OSError(errno.EIO, "the file ends early")
                done += count
        except OSError as error:
            raise drive_error(error, self.path) from error

    def write(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset`.

        Raises:
            UserError: the drive is full or fails.
        """
        done = 0
        try:
            while done < len(data):
                done += self._write(data[done:], offset + done)
        except OSError as error:
            raise drive_error(error, self.path) from error

    def flush(self) -> None:
        """Down to the drive's own memory."""
        try:
            (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._descriptor)
        except OSError as error:
            raise drive_error(error, self.path) from error

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)

    def _read(self, into: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, [into], offset)
        with self._lock:  # Windows has one position a file
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            found = os.read(self._descriptor, len(into))
        into[: len(found)] = found
        return len(found)

    def _write(self, data: memoryview, offset: int) -> int:
        if hasattr(os, "pwritev"):
            return os.pwritev(self._descriptor, [data], offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.write(self._descriptor, data)


def make_file(path: Path, size: int) -> None:
    """A file of zeros with its space taken, so that a drive cannot run full in the middle of a step.

    Raises:
        UserError: there is no room.
    """
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
    except OSError as error:
        path.unlink(missing_ok=True)  # what was taken of a full drive
        raise drive_error(error, path) from error


def drive_error(error: OSError, path: Path) -> UserError:
    """What happened to the drive, for people."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"The drive of {path.parent} is full. The last completed step is safe.",
            "Free some space and resume the run.",
        )
    return UserError(
        f"The drive of {path.parent} failed: {error.strerror or error}. Its last step is safe if it is sound.",
        "See whether the drive is still connected and sound, then resume the run.",
    )


def _open(path: Path, direct: bool) -> tuple[int, bool]:
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    if direct and hasattr(os, "O_DIRECT"):
        try:
            return os.open(path, flags | os.O_DIRECT), True
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise drive_error(error, path) from error
    try:
        return os.open(path, flags), False
    except OSError as error:
        raise drive_error(error, path) from error
