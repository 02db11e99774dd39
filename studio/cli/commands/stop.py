"""`tunesmith stop`: have a run save and end."""

from __future__ import annotations

from studio.cli.options import RunFolder


def stop(folder: RunFolder) -> int:
    """Have a running run save its weights and end, and wait for that."""
    from studio.cli.steering import tell_and_wait
    from studio.protocol import commands

    return tell_and_wait(folder, commands.Stop())


COMMAND = stop
