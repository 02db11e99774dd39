"""Every method at settings for a model of two layers and a dozen steps, and forms that go other ways in the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.methods import METHODS
from studio.project.runs import Run
from tests.helpers.small_run import make_run

# What a method's file says already is not here.
SETTINGS: dict[str, dict[str, Any]] = {
    "lisa": {"active_layers": 1, "interval": 3},
    "freeze": {"trained_layers": 1},
    "badam": {"interval": 3},
    "hft": {"interval": 5},
    "galore": {"rank": 8, "interval": 5},
    "natural_galore": {"rank": 8, "interval": 5},
    "frugal": {"interval": 5},
    "lift": {"rank": 4, "interval": 5},
    "spiel": {"density": 0.1, "interval": 4},
    "ist": {"active_share": 0.5, "interval": 2},
    "lofit": {"share": 0.5, "selection_steps": 3},
    "miss": {"rank": 8},
    "eva": {"rank": 8},
    "corda": {"rank": 8},
    "longlora": {"rank": 8},
    "owlore": {"active_layers": 1, "interval": 3, "rank": 8},
}
TRAIN: dict[str, dict[str, Any]] = {
    "mezo": {"steps": 60, "learning_rate": 5e-4, "eval_every": 60, "schedule": "constant"},
    "sparse_mezo": {"steps": 60, "learning_rate": 5e-4, "eval_every": 60, "schedule": "constant"},
}
# Forms of a method that take another way through the code.
VARIANTS: dict[str, dict[str, Any]] = {
    "lisa-parked": {"key": "lisa", "active_layers": 1, "interval": 3, "frozen_state": "ram", "sampling": "importance"},
    "lisa-on-disk": {"key": "lisa", "active_layers": 1, "interval": 3, "frozen_state": "disk", "sampling": "outliers"},
    "badam-outside": {"key": "badam", "interval": 2, "train_embeddings": True, "order": "descending"},
    "freeze-head": {"key": "freeze", "trained_layers": 1, "train_head": True},
    "galore-outside": {"key": "galore", "rank": 8, "interval": 5, "train_embeddings": True},
    "corda-knowledge": {"key": "corda", "rank": 8, "mode": "knowledge"},
    "bone": {"key": "miss", "form": "bone", "rank": 8},
}
# Its weights mean something under another config than the base's alone.
RESHAPED: dict[str, dict[str, Any]] = {"longlora-stretched": {"key": "longlora", "rank": 8, "stretch": 4}}
CASES = [*METHODS.all(), *VARIANTS]


def settings_of(case: str) -> dict[str, Any]:
    """`method` of a case."""
    return {**VARIANTS, **RESHAPED}.get(case) or {"key": case, **SETTINGS.get(case, {})}


def make_case(folder: Path, case: str, name: str = "r1", **train: Any) -> Run:
    """A run of a case, ready to be trained."""
    return make_run(folder, method=settings_of(case), name=name, **{**TRAIN.get(case, {}), **train})
