"""Objectives (losses): what training pulls towards. One file an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studio.declare import Settings
from studio.units import Registry


class ObjectiveParams(Settings):
    """Base of every objective's settings. `key` names the objective."""

    key: str = ""


@dataclass(frozen=True)
class Objective:
    """A loss over token log-probabilities.

    Attributes:
        key: the file's name and `objective.key` in a project.
        title, summary: for people.
        Params: its settings.
        per_token: (token negative log-likelihoods, float32 tensor of shape (trained tokens,); settings) -> loss of
            each token, same shape. Must be differentiable with torch.
    """

    key: str
    title: str
    summary: str
    Params: type[ObjectiveParams]
    per_token: Callable[[Any, Any], Any]


OBJECTIVES: Registry[Objective] = Registry("studio.objectives", "OBJECTIVE", "objective")
