"""What streaming costs a drive: the share of its life that a run's writing uses up."""

from __future__ import annotations

from studio.errors import Problem
from studio.sizes import human_bytes, human_share
from studio.spec.run_spec import RunSpec

LIFE_FILLS = 600
"""How often a usual consumer SSD may be written full: makers of drives with three bits a cell warrant 600 TB for each
TB (Samsung 980 PRO, WD SN850X); those with four bits a cell a third to half of that."""


def life_share(written_bytes: float, steps: int, capacity_bytes: int) -> float:
    """Share of a drive's life.

    Args:
        written_bytes: in one step.
        steps: of the run; 0 where they are not known.
        capacity_bytes: of the drive.
    """
    return written_bytes * steps / (LIFE_FILLS * capacity_bytes) if capacity_bytes else 0.0


def wear_problems(spec: RunSpec, written_bytes: float, steps: int, capacity_bytes: int) -> list[Problem]:
    """A run that would use up more of the drive than is allowed."""
    share = life_share(written_bytes, steps, capacity_bytes)
    if share <= spec.train.drive_wear:
        return []
    message = (
        f"This run writes {human_bytes(written_bytes * steps)}: {human_share(share)} of the life of a drive of "
        f"{human_bytes(capacity_bytes)}, and train.drive_wear allows {human_share(spec.train.drive_wear)}."
    )
    hint = (
        f"Allow it with train.drive_wear={_allowed(share)}, or take fewer steps, more accumulation, or a method.scheme "
        "that writes less."
    )
    return [Problem("train.drive_wear", message, hint)]


def streaming_words(read_bytes: int, written_bytes: int, steps: int, share: float) -> str:
    """What passes through the drive, for people; "" where nothing does.

    Args:
        read_bytes, written_bytes: in one step.
        steps: of the run; 0 where they are not known.
        share: of the drive's life that the run uses up.
    """
    if not read_bytes and not written_bytes:
        return ""
    if not written_bytes:
        return f"The base streams from the drive: {human_bytes(read_bytes)} read in each step, nothing written."
    words = f"Each step reads {human_bytes(read_bytes)} of the drive and writes {human_bytes(written_bytes)}."
    if not steps:
        return words
    return f"{words} The run writes {human_bytes(written_bytes * steps)}, {_percent(share)} of such a drive's life."


def _percent(share: float) -> str:
    return human_share(share) if share >= 0.001 else "less than 0.1 %"


def _allowed(share: float) -> float:
    """The next whole percent."""
    return min(1.0, (int(100 * share) + 1) / 100)
