"""The one C file of the program (engine/stream/fused_update.c): what setup made of it, where there is a C compiler."""

from __future__ import annotations

import ctypes
import functools
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import studio

VERSION = 2
"""Of its functions' arguments; the C file says the same."""


@functools.cache
def compiled_path() -> Path | None:
    """None where setup made none."""
    base = Path(studio.__file__).parent / "engine" / "stream"
    paths = [base / f"_fused_update{suffix}" for suffix in EXTENSION_SUFFIXES]
    return next(filter(Path.is_file, paths), None)


def load_compiled(path: Path) -> ctypes.CDLL:
    """Ready to be called.

    Raises:
        OSError: it is damaged, or was made for another system or by another version of the program.
    """
    library = ctypes.CDLL(str(path))
    try:
        version = library.tunesmith_version()
    except AttributeError:
        version = None
    if version != VERSION:
        raise OSError(f"{path.name} was made by another version of Tunesmith")
    return library
