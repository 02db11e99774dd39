"""Keeps start-up short and free of compilers."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def import_bitsandbytes() -> None:
    """Import bitsandbytes, if it is there, without its use of torch.compile.

    It wraps its fallback kernels in `torch.compile` as it is imported (which peft does unasked). That alone pulls in
    the whole compiler, a fifth of our start-up, and would want a C++ compiler on the user's machine at the first
    step. It has a way out when compiling fails, and takes it here.
    """
    compile_function = torch.compile
    torch.compile = _refuse
    try:
        with contextlib.suppress(ImportError):
            import bitsandbytes  # noqa: F401
    finally:
        torch.compile = compile_function


def _refuse(*_: Any, **__: Any) -> Any:
    raise RuntimeError("not compiled, on purpose")
