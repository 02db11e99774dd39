"""What streaming costs a drive: bytes of a step, and the share of its life that a run's writing uses up."""

from __future__ import annotations

from studio.errors import Problem
from studio.machine.resources import Resources
from studio.methods import METHODS, Trained
from studio.sizes import human_bytes, human_share
from studio.spec.run_spec import RunSpec

LIFE_FILLS = 600
"""How often a usual consumer SSD may be written full: makers of drives with three bits a cell warrant 600 TB for each
TB (Samsung 980 PRO, WD SN850X); those with four bits a cell a third to half of that."""


def bytes_of_a_step(spec: RunSpec, trained: Trained, room: int, *, is_bf16: bool) -> tuple[int, int]:
    """Read and written.

    Args:
        room: of RAM, for what need not be read again.
        is_bf16: whether the base's files hold nothing beyond that.
    """
    weights = min(trained.cacheable_bytes, room)
    state = min(trained.cacheable_state_bytes, room - weights) if weights == trained.cacheable_bytes else 0
    read = trained.read_bytes - max(trained.lingering_bytes, (1 + trained.descents) * weights) - state
    if reads_exactly(spec, trained, is_bf16=is_bf16):
        elsewhere = 1 - state / trained.cacheable_state_bytes if state else 1.0
        read += int(trained.exact_bytes * elsewhere)
    return max(0, read), trained.written_bytes


def reads_exactly(spec: RunSpec, trained: Trained, *, is_bf16: bool) -> bool:
    """Whether a step computes with more of the weights than their 16 bits: always once they have been trained."""
    return spec.train.precision == "fp32" and (trained.written_bytes > 0 or not is_bf16)


def life_share(written_bytes: float, steps: int, capacity_bytes: int) -> float:
    """Share of a drive's life.

    Args:
        written_bytes: in one step.
        steps: of the run; 0 where they are not known.
        capacity_bytes: of the drive.
    """
    return written_bytes * steps / (LIFE_FILLS * capacity_bytes) if capacity_bytes else 0.0


def wear_problems(
    spec: RunSpec, written_bytes: float, steps: int, capacity_bytes: int, drives: int = 1
) -> list[Problem]:
    """A run that would use up more of a drive than is allowed; `drives` share what it writes."""
    share = life_share(written_bytes / drives, steps, capacity_bytes)
    if share <= spec.train.drive_wear:
        return []
    to = f" to {drives} drives" if drives > 1 else ""
    message = (
        f"This run writes {human_bytes(written_bytes * steps)}{to}: {human_share(share)} of the life of a drive of "
        f"{human_bytes(capacity_bytes)}, more than the {human_share(spec.train.drive_wear)} that is allowed."
    )
    hint = (
        f"Allow it with train.drive_wear={_allowed(share)}, or take fewer steps, more accumulation, or a method.scheme "
        "that writes less."
    )
    return [Problem("train.drive_wear", message, hint)]


def drives_of(spec: RunSpec, resources: Resources) -> int:
    """How many drives share what the run keeps and writes while it streams."""
    return resources.stream_drives if METHODS.get(spec.method.key).is_streamed else 1


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
    words = f"Each step reads {human_bytes(read_bytes)} from the drive and writes {human_bytes(written_bytes)}."
    if not steps:
        return words
    return f"{words} The run writes {human_bytes(written_bytes * steps)}, {_percent(share)} of such a drive's life."


def _percent(share: float) -> str:
    return human_share(share) if share >= 0.001 else "less than 0.1 %"


def _allowed(share: float) -> float:
    """The next whole percent."""
    return min(1.0, (int(100 * share) + 1) / 100)
