"""How the C library keeps memory that was given back, which decides what a streamed run really takes."""

from __future__ import annotations

import ctypes
import sys

LARGEST_KEPT = 1 << 20
"""Bytes. Larger pieces go back to the system at once."""
_M_MMAP_THRESHOLD = -3


def return_large_pieces() -> None:
    """Have glibc give large pieces back when they are freed; nothing happens elsewhere.

    Left alone, it learns to keep pieces of up to 32 MB for the next time. Each layer's passing copies then lie where
    the next layer's do not quite fit, and the process grows until the holes are as large as the model's widest moment
    three times over (measured: 344 MB against 138 MB on 16 layers of 3 million numbers).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT)
