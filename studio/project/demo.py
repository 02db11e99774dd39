"""The bundled starter as a project: what `tunesmith demo` trains, and what "Try it now" in the window starts."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.errors import UserError
from studio.paths import resources_dir
from studio.project.folder import Project
from studio.spec.fresh import fresh_spec
from studio.spec.places import STARTER
from studio.spec.values import set_values

# Chosen by trying: enough steps for the voice to be learned, few enough to take about a minute on two cores.
SETTINGS = (
    "method.rank=16",
    "method.alpha=16",
    "train.learning_rate=0.001",
    "train.epochs=4",
    "train.batch_size=8",
    "train.max_length=256",
    "train.precision=fp32",
    "train.device=cpu",
    "data.holdout=20",
    "train.samples=2",
)


@dataclass(frozen=True)
class Example:
    """One question of the starter's rows, with the answer as it is before and after tuning."""

    question: str
    before: str
    after: str


def starter_rows() -> Path:
    """The bundled rows.

    Raises:
        UserError: this copy of the program came without them.
    """
    path = resources_dir() / "starter" / "data" / "voice.jsonl"
    if not path.is_file():
        raise UserError("The starter is missing from this copy of Tunesmith.", "Take a complete copy of it.")
    return path


def make_demo_project(folder: Path, settings: Sequence[str] = SETTINGS) -> Project:
    """A project on the starter in the first free of `folder`, folder-2, folder-3, ...

    Raises:
        UserError: the starter is missing, or the folder cannot be made.
    """
    free = free_folder(folder)
    spec = fresh_spec(model=STARTER, data=str(starter_rows()), project=free)
    return Project.create(free, set_values(spec, settings))


def free_folder(wanted: Path) -> Path:
    """`wanted`, or the first of wanted-2, wanted-3, ... that is not there yet."""
    numbered = (wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}") for number in range(1, 10_000))
    return next(path for path in numbered if not os.path.lexists(path))


def example() -> Example:
    """What tuning on the starter's rows changes, shown on one of them."""
    rows = [json.loads(line)["messages"] for line in starter_rows().read_text(encoding="utf-8").splitlines()]
    answers = [messages[-1]["content"] for messages in rows]
    closing = _common_end(answers)
    after = answers[0]
    return Example(rows[0][0]["content"], after.removesuffix(closing).strip(), after)


def _common_end(texts: list[str]) -> str:
    """The end that all texts share, from a word's beginning on: the voice that is taught."""
    reversed_texts = [text[::-1] for text in texts]
    low, high = min(reversed_texts), max(reversed_texts)
    same = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    end = low[:same][::-1]
    return end[end.find(" ") :] if " " in end else end
