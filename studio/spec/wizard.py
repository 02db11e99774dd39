"""The steps from a goal to a run that may start, without widgets: where one is, where one may go, and why not.

A window draws it; tests walk it. Settings themselves are edited in the spec, never here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from studio.errors import Problem
from studio.spec.run_spec import RunSpec

StepKey = Literal["goal", "model", "data", "method", "settings", "check"]
STEPS: tuple[StepKey, ...] = get_args(StepKey)
TITLES: dict[StepKey, str] = {
    "goal": "Goal",
    "model": "Model",
    "data": "Data",
    "method": "Method",
    "settings": "Settings",
    "check": "Check",
}
_SHORT = ("wears", "short", "impossible")


@dataclass(frozen=True)
class Situation:
    """Everything the steps depend on.

    Attributes:
        spec: the draft, None while no project is open.
        problems: of the draft, as `spec.check` tells them.
        verdict: of the chosen method's forecast ("fits", "tight", "wears", "short", "impossible"); "" while it is not
            known.
        shortage: the forecast's sentence when memory or disk is short.
    """

    spec: RunSpec | None = None
    problems: tuple[Problem, ...] = ()
    verdict: str = ""
    shortage: str = ""


@dataclass(frozen=True)
class Gate:
    """Whether one may go on from a step.

    Attributes:
        is_open: whether one may.
        reason: the sentence that says why not, or what was overridden.
        may_override: whether going on all the same is the person's to decide.
    """

    is_open: bool
    reason: str = ""
    may_override: bool = False


@dataclass(frozen=True)
class StepView:
    """One step as it is shown. "done" was passed and holds; "open" may be gone to; "closed" may not."""

    key: StepKey
    title: str
    number: int
    state: Literal["done", "current", "open", "closed"]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Wizard:
    """Where one is.

    Attributes:
        current: the step that is shown.
        furthest: the last step that was ever reached.
        overridden: the method that is to be tried although its forecast is short; "" when none is.
    """

    current: StepKey = "goal"
    furthest: StepKey = "goal"
    overridden: str = ""

    @classmethod
    def start(cls, situation: Situation) -> Wizard:
        """At the first step with something to settle, and at the method when nothing is left before it."""
        open_steps = [key for key in STEPS if cls().may_open(key, situation)]
        first = min(open_steps[-1], "method", key=STEPS.index)
        first = "goal" if situation.spec is None else first
        return cls(first, first)

    def steps(self, situation: Situation) -> tuple[StepView, ...]:
        """All steps in their order."""
        return tuple(
            StepView(key, TITLES[key], number, self._state(key, situation), problems_at(key, situation.problems))
            for number, key in enumerate(STEPS, 1)
        )

    def gate(self, situation: Situation) -> Gate:
        """Whether Continue (on the last step: Start) is possible now."""
        return self._gate(self.current, situation)

    def may_open(self, key: StepKey, situation: Situation) -> bool:
        """Whether every step before `key` lets one pass."""
        return all(self._gate(step, situation).is_open for step in STEPS[: STEPS.index(key)])

    def forward(self, situation: Situation) -> Wizard:
        """The next step, if the gate is open and there is one."""
        place = STEPS.index(self.current)
        if place + 1 == len(STEPS) or not self.gate(situation).is_open:
            return self
        return self._at(STEPS[place + 1])

    def back(self) -> Wizard:
        """The step before."""
        return self._at(STEPS[max(0, STEPS.index(self.current) - 1)])

    def to(self, key: StepKey, situation: Situation) -> Wizard:
        """A step, if it may be opened."""
        return self._at(key) if self.may_open(key, situation) else self

    def override(self, situation: Situation) -> Wizard:
        """Try the chosen method although it will hardly fit. It holds for this method only."""
        return replace(self, overridden=situation.spec.method.key) if situation.spec else self

    def is_overridden(self, situation: Situation) -> bool:
        """Whether the run would start against its forecast."""
        spec = situation.spec
        return spec is not None and situation.verdict in _SHORT and self.overridden == spec.method.key

    def _at(self, key: StepKey) -> Wizard:
        return replace(self, current=key, furthest=max(self.furthest, key, key=STEPS.index))

    def _state(self, key: StepKey, situation: Situation) -> Literal["done", "current", "open", "closed"]:
        if key == self.current:
            return "current"
        if not self.may_open(key, situation):
            return "closed"
        was_passed = STEPS.index(key) < STEPS.index(self.furthest)
        return "done" if was_passed and self._gate(key, situation).is_open else "open"

    def _gate(self, key: StepKey, situation: Situation) -> Gate:
        if situation.spec is None:
            return Gate(key == "goal", "" if key == "goal" else "No project is open.")
        here = STEPS if key == "check" else (key,)
        fatal = [found for step in here for found in problems_at(step, situation.problems) if found.is_fatal]
        if fatal:
            return Gate(False, _sentence(fatal))
        if key in ("method", "check") and situation.verdict in _SHORT:
            return self._short(situation)
        return Gate(True)

    def _short(self, situation: Situation) -> Gate:
        if self.is_overridden(situation):
            return Gate(True, f"You chose to try anyway. {situation.shortage}".strip())
        return Gate(False, situation.shortage or "The plan does not fit this computer.", may_override=True)


def step_of(path: str) -> StepKey:
    """The step at which a setting is chosen."""
    section, _, name = path.partition(".")
    if section in ("goal", "model", "data"):
        return section  # type: ignore[return-value]
    return "method" if (section, name) == ("method", "key") else "settings"


def problems_at(key: StepKey, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems to be settled at a step."""
    return tuple(problem for problem in problems if key != "check" and step_of(problem.path) == key)


def _sentence(fatal: list[Problem]) -> str:
    more = f" And {len(fatal) - 1} more." if len(fatal) > 1 else ""
    return f"{fatal[0].message} {fatal[0].hint}{more}".strip()
