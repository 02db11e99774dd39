"""Writing a checkpoint when the disk may be full: wait, say so, and lose nothing."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from studio.errors import UserError
from studio.protocol import commands, events

if TYPE_CHECKING:
    from studio.engine.loop import Loop

RETRY_SECONDS = 5.0
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def save_with_patience(loop: Loop, write: Callable[[Path], None]) -> None:
    """Save a checkpoint that `write` fills, and say so. While the disk is full the run waits and tries again.

    Raises:
        UserError: told to stop while there was still no room.
    """
    step, told = loop.progress.step, False
    while True:
        try:
            path = loop.plan.checkpoints.save(step, write, best_step=loop.progress.best_step or None)
            break
        except Exception as error:  # re-raised unless it is a full disk, whatever library it comes through
            if not _is_full(error):
                raise
            if not told:
                loop.emit(_notice(loop.plan.checkpoints.folder))
                told = True
            _wait(loop)
    if told:
        loop.emit(
            events.Notice(severity="info", text="There is room again. The checkpoint is saved; training goes on.")
        )
    loop.emit(events.Checkpoint(step=step, path=f"{path.parent.name}/{path.name}"))


def _is_full(error: BaseException | None) -> bool:
    """torch and safetensors wrap the system's error in their own; some keep only its words."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if "No space left" in str(error) or "os error 28" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _notice(folder: Path) -> events.Notice:
    return events.Notice(
        severity="error",
        text=f"The disk with {folder.parent.name} is full. Training waits; nothing is lost, all of it is in memory.",
        hint="Free some space and it goes on by itself, or stop the run: the checkpoint before this one is complete.",
    )


def _wait(loop: Loop) -> None:
    until = time.monotonic() + RETRY_SECONDS
    while time.monotonic() < until:
        if any(isinstance(command, commands.Stop | commands.Pause) for command in loop.poll()):
            raise UserError(
                "The disk is full, so the last steps could not be saved.",
                "The checkpoint before them is complete; free some space and resume from it.",
            )
        time.sleep(0.2)
