"""Whether it fits, and a sentence that says why: what is needed, what is free, what is missing."""

from __future__ import annotations

from typing import Literal

from studio.errors import Problem
from studio.machine.resources import Resources
from studio.planner.machine import Device
from studio.sizes import human_bytes
from studio.spec.run_spec import RunSpec

Verdict = Literal["fits", "tight", "wears", "short", "impossible"]
_TIGHT = 0.93
"""Above this share of what is free another program's window is enough to end the run."""


def judge(
    spec: RunSpec,
    problems: list[Problem],
    wear: list[Problem],
    device: Device | None,
    peak: int,
    ram: int,
    disk: int,
    resources: Resources,
) -> tuple[Verdict, str]:
    """The verdict on a run and its reason.

    Args:
        problems: with the method's settings.
        wear: of the drive, beyond what is allowed; empty for none.
    """
    fatal = [problem for problem in problems if problem.is_fatal]
    if fatal:
        return "impossible", fatal[0].message
    if device is None:
        return "impossible", f'This computer has no "{spec.train.device}".'
    where = "on the card" if device.is_card else "of RAM"
    need = f"Needs {human_bytes(peak)}"
    if peak > device.limit_bytes:
        missing = human_bytes(peak - device.limit_bytes)
        return "short", f"{need}, {human_bytes(device.limit_bytes)} {where} are free: {missing} missing."
    if device.is_card and ram > resources.ram_free:
        return "short", f"Needs {human_bytes(ram)} of RAM beside the card, {human_bytes(resources.ram_free)} are free."
    if disk > resources.disk_free:
        return "short", f"Needs {human_bytes(disk)} on the disk, {human_bytes(resources.disk_free)} are free."
    if wear:
        return "wears", wear[0].message
    if peak > _TIGHT * device.limit_bytes:
        return "tight", f"{need} of {human_bytes(device.limit_bytes)} {where}: close other programs first."
    return "fits", f"{need} of {human_bytes(device.limit_bytes)} {where}."
