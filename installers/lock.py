"""One set-up of a checkout at a time. The lock belongs to the process, so nothing stale is left by a crash."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator

from installers.failures import SetupError
from installers.places import Places


@contextlib.contextmanager
def only_one(places: Places) -> Iterator[None]:
    """Hold the checkout's lock.

    Raises:
        SetupError: another set-up of this checkout is running.
    """
    name = hashlib.sha256(str(places.root).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    try:
        folder = places.cache / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield  # some network folders cannot lock; the checks that follow say what is wrong with the folder
        return
    try:
        _take(descriptor)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise SetupError(
            "Another set-up of this checkout is running.", "Wait for it to end, then run the same command again."
        ) from error
    except OSError:
        return
