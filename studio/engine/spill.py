"""Tells when a full card has silently been lent system memory (Windows does that): training then crawls unasked."""

from __future__ import annotations

from dataclasses import dataclass

from studio.protocol.events import Notice
from studio.sizes import human_bytes

_CONTEXT_BYTES = 300_000_000  # of the process besides torch's own allocations, at least


@dataclass
class SpillWatch:
    """Compares what torch holds with what the card's own memory can have left for it.

    Args:
        taken_before: bytes of the card that others had taken before this process took any.
    """

    taken_before: int
    is_told: bool = False

    def look(self, reserved: int, free: int, total: int) -> Notice | None:
        """A notice at the first moment that torch holds more than fits beside the others, None otherwise."""
        room = total - self.taken_before - _CONTEXT_BYTES
        if self.is_told or reserved <= room or free > 0.02 * total:
            return None
        self.is_told = True
        return Notice(
            severity="warning",
            text=f"The card is full: about {human_bytes(reserved - room)} of this run lie in system memory, "
            "which is many times slower.",
            hint="Close other programs, set train.memory_share to 0.9, or take a smaller batch or rank.",
        )
