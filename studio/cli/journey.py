"""The demo's steps: score, train, score again, export, talk. Each is timed; nothing here knows what is taught."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console

from studio.errors import UserError
from studio.paths import log_dir, resources_dir
from studio.project.jobs import run_to_result
from studio.project.runs import Run
from studio.sizes import human_seconds, human_share


@dataclass(frozen=True)
class Score:
    """Shares (0 to 1) of answers that keep to what was taught, and that are right."""

    follows: float
    right: float

    def __str__(self) -> str:
        return f"{human_share(self.follows)} in the new voice, {human_share(self.right)} right"


class Clock:
    """Says each step as it begins and remembers how long it took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.took: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        self._console.print(f"\n{len(self.took) + 1}. {name}", style="bold")
        started = time.perf_counter()
        yield
        self.took[name] = time.perf_counter() - started

    def lines(self) -> list[str]:
        """One line a step, and the sum."""
        width = max(map(len, self.took))
        lines = [f"  {name:<{width}}  {human_seconds(seconds):>10}" for name, seconds in self.took.items()]
        return [*lines, f"  {'in all':<{width}}  {human_seconds(sum(self.took.values())):>10}"]


class Examiner:
    """The starter's held-out questions and what counts as a good answer to them."""

    def __init__(self) -> None:
        """Load the starter's own check.

        Raises:
            UserError: this copy of the program came without the starter.
        """
        self._check = _load_check(resources_dir() / "starter" / "check.py")
        self.file = resources_dir() / "starter" / "data" / "heldout.jsonl"
        self.questions: list[dict[str, Any]] = self._check.load_heldout()

    def score(self, *, run: Run | None, model: str = "starter") -> Score:
        """Ask all questions of a run's tuned model, or of `model`."""
        arguments = {"run": str(run.folder) if run else None, "model": model, "questions": str(self.file)}
        answers = run_to_result("answers", arguments, log=log_dir() / "demo.log")["answers"]
        count = len(self.questions)
        follows = sum(self._check.follows(answer) for answer in answers)
        pairs = zip(self.questions, answers, strict=True)
        right = sum(self._check.is_right(question["expected"], answer) for question, answer in pairs)
        return Score(follows / count, right / count)

    def prompts(self, count: int) -> list[str]:
        """Some one-turn questions of different kinds, to show."""
        plain = {row["kind"]: row["messages"][-1]["content"] for row in self.questions if len(row["messages"]) == 1}
        step = max(1, len(plain) // count)
        return list(plain.values())[::step][:count]


def verdict(before: Score, after: Score) -> tuple[bool, str]:
    """Whether the demo shows what it must: almost nobody spoke so before, almost all do after, and are still right."""
    is_shown = before.follows <= 0.02 and after.follows >= 0.95 and after.right >= 0.85
    return is_shown, "The model learned the voice and kept its knowledge." if is_shown else "Less than it should show."


def _load_check(path: Path) -> ModuleType:
    if not path.is_file():
        raise UserError("The starter is missing from this copy of Tunesmith.", "Take a complete copy of it.")
    spec = importlib.util.spec_from_file_location("starter_check", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
