"""Optimizers: one file each, all behind the same small declaration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studio.declare import Settings
from studio.units import Registry


class OptimizerParams(Settings):
    """Base of every optimizer's settings. `key` names the optimizer."""

    key: str = ""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer.

    Attributes:
        key: the file's name and `optimizer.key` in a project.
        title, summary: for people.
        Params: its settings.
        state_bytes: bytes of state kept for each trained number (parameters in fp32), for the planner.
        scratch_bytes: short-lived bytes for each trained number while a step is made, for the planner.
        is_paged: whether the state lies in RAM and comes to the card when it is needed.
        is_shardable: whether a process can step its part of each tensor without the rest.
        smaller: the optimizer that does nearly the same with less memory on the device, "" for none.
        build: (parameter groups, learning rate, settings) -> a torch optimizer. Imports torch inside. Groups carry
            their own "weight_decay".
    """

    key: str
    title: str
    summary: str
    Params: type[OptimizerParams]
    state_bytes: float
    build: Callable[[list[dict[str, Any]], float, Any], Any]
    scratch_bytes: float = 0.0
    is_paged: bool = False
    is_shardable: bool = False
    smaller: str = ""


OPTIMIZERS: Registry[Optimizer] = Registry("studio.optimizers", "OPTIMIZER", "optimizer")
