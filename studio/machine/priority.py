"""Who goes first where the processor is wanted by several."""

from __future__ import annotations

import contextlib
import sys

import psutil

NICENESS = 10
"""What `nice` adds when it is told nothing else: a tenth of what the window gets where both want the processor."""


def give_way() -> None:
    """Let what a person is using go first: windows, chats, other programs. Where nobody else wants it, nothing changes.

    Safe to call again. A system that refuses leaves things as they were.
    """
    process = psutil.Process()
    with contextlib.suppress(psutil.Error):
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(max(NICENESS, process.nice()))
