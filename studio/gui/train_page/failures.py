"""How a run ended badly, in words: what happened, what is safe, and the settings that would make it work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.gui import figures
from studio.project.curves import RunCurves
from studio.project.run_rows import setting_words
from studio.protocol import events
from studio.spec.words import in_words

_MOST_PROBLEMS = 5


@dataclass(frozen=True)
class Rung:
    """Settings that a failure names as a way out, in words and as `path=value`."""

    title: str
    effect: str
    settings: tuple[str, ...]


def told_failure(curves: RunCurves, kept: Sequence[int]) -> tuple[str, str]:
    """Title and sentences."""
    at = f" at step {figures.count(curves.step)}" if curves.step else " before the first step"
    safe = (
        f"Nothing before it is lost: step {figures.count(max(kept))} is saved."
        if kept
        else "No checkpoint was written yet."
    )
    end = curves.end
    if not isinstance(end, events.Failed):
        text = f"Its process is gone: it was ended from outside, or crashed. {safe}"
        return f"Training ended{at} without a word", text
    problems = [_words(problem) for problem in end.problems if "=" not in str(problem.get("path"))]
    lines = [f"{end.message} {safe} {end.hint}".strip(), *problems[:_MOST_PROBLEMS]]
    return f"Training stopped{at}", in_words("\n".join(lines))


def rungs(end: events.Failed) -> list[Rung]:
    """The problems of a failure that name settings to start again with."""
    found = []
    for problem in end.problems:
        settings = tuple(str(problem.get("path", "")).split(", "))
        if all("=" in setting for setting in settings):
            pairs = [setting.split("=", 1) for setting in settings]
            title = ", ".join(filter(None, (setting_words(path, _value(value)) for path, value in pairs)))
            effect = f"{problem.get('message', '')} {problem.get('hint', '')}".strip()
            found.append(Rung(title[:1].upper() + title[1:], effect[:1].upper() + effect[1:], settings))
    return found


def _words(problem: dict[str, object]) -> str:
    path = f"{problem.get('path')}: " if problem.get("path") else ""
    return f"{path}{problem.get('message', '')} {problem.get('hint', '')}".strip()


def _value(text: str) -> object:
    return {"true": True, "false": False}.get(text.lower(), text)
