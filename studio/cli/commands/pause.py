"""`tunesmith pause`: have a run save, end and give its memory back; `resume` goes on exactly there."""

from __future__ import annotations

from studio.cli.options import RunFolder


def pause(folder: RunFolder) -> int:
    """Have a running run save a checkpoint and give all memory back, and wait for that."""
    from studio.cli.steering import tell_and_wait
    from studio.protocol import commands

    return tell_and_wait(folder, commands.Pause())


COMMAND = pause
