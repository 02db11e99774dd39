"""The steps from a goal to a run: where one may go, and why not. Whole ways are walked without a window."""

from __future__ import annotations

from dataclasses import replace

import pytest

from studio.errors import Problem
from studio.spec.file import parse_spec
from studio.spec.values import set_values
from studio.spec.wizard import STEPS, Situation, Wizard, problems_at, step_of

SPEC = parse_spec({"model": {"source": "starter"}, "data": {"path": "rows.jsonl"}})
AT_THE_GOAL = Wizard()
CLEAN = Situation(spec=SPEC, verdict="fits")
SHORT = replace(CLEAN, verdict="short", shortage="LoRA needs 12.1 GB, 11.2 GB are free.")


def walked(situation: Situation, wizard: Wizard = AT_THE_GOAL) -> Wizard:
    """Continue for as long as it leads anywhere."""
    while (after := wizard.forward(situation)) != wizard:
        wizard = after
    return wizard


def states(wizard: Wizard, situation: Situation) -> dict[str, str]:
    return {step.key: step.state for step in wizard.steps(situation)}


def test_a_clean_draft_leads_from_the_goal_to_the_check_and_may_start() -> None:
    wizard = walked(CLEAN)
    assert wizard.current == "check" and wizard.gate(CLEAN).is_open
    assert [step.number for step in wizard.steps(CLEAN)] == [1, 2, 3, 4, 5, 6]
    assert set(states(wizard, CLEAN).values()) == {"done", "current"}


def test_one_starts_at_what_is_left_to_settle() -> None:
    assert Wizard.start(CLEAN).current == "method"
    assert Wizard.start(Situation()).current == "goal"
    no_data = replace(CLEAN, problems=(Problem("data.path", "rows.jsonl is not there."),))
    assert Wizard.start(no_data).current == "data"


def test_a_fatal_problem_closes_what_comes_after_it_and_says_why() -> None:
    broken = replace(CLEAN, problems=(Problem("data.holdout", "Too much is held out.", "Use 0.1."),))
    wizard = walked(broken)
    assert wizard.current == "data"
    assert wizard.gate(broken).reason == "Too much is held out. Use 0.1."
    assert not wizard.gate(broken).may_override
    assert states(wizard, broken) == dict(zip(STEPS, ["done", "done", "current", *["closed"] * 3], strict=True))
    assert wizard.to("check", broken) == wizard


def test_a_problem_that_appears_later_closes_the_start_but_one_stays_where_one_is() -> None:
    wizard = walked(CLEAN)
    broken = replace(CLEAN, problems=(Problem("model.source", "The model has gone."), Problem("data.path", "Too.")))
    assert not wizard.gate(broken).is_open and "And 1 more." in wizard.gate(broken).reason
    assert wizard.to("model", broken).current == "model"
    assert states(wizard, broken)["method"] == "closed"


def test_warnings_never_close_anything() -> None:
    warned = replace(CLEAN, problems=(Problem("train.learning_rate", "High.", is_fatal=False),))
    assert walked(warned).gate(warned).is_open
    assert len(problems_at("settings", warned.problems)) == 1


@pytest.mark.parametrize("verdict", ["short", "impossible"])
def test_a_short_plan_starts_only_when_overridden_on_purpose(verdict: str) -> None:
    short = replace(SHORT, verdict=verdict)
    wizard = walked(short)
    assert wizard.current == "method"
    gate = wizard.gate(short)
    assert not gate.is_open and gate.may_override and gate.reason == SHORT.shortage
    tried = walked(short, wizard.override(short))
    assert tried.current == "check" and tried.gate(short).is_open and tried.is_overridden(short)
    assert "try anyway" in tried.gate(short).reason


def test_an_override_holds_for_its_method_only_and_is_none_once_the_plan_fits() -> None:
    tried = walked(SHORT, walked(SHORT).override(SHORT))
    other = replace(SHORT, spec=set_values(SPEC, ["method.key=full"]))
    assert not tried.gate(other).is_open
    assert not tried.is_overridden(CLEAN) and tried.gate(CLEAN).reason == ""


def test_what_is_not_known_yet_holds_nobody_up() -> None:
    assert walked(replace(CLEAN, verdict="")).current == "check"


def test_back_stops_at_the_goal_and_what_was_passed_stays_done() -> None:
    wizard = walked(CLEAN)
    for _ in range(9):
        wizard = wizard.back()
    assert wizard.current == "goal"
    assert states(wizard, CLEAN)["method"] == "done" and states(wizard, CLEAN)["check"] == "open"


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("goal.kind", "goal"),
        ("model.revision", "model"),
        ("data.columns.question", "data"),
        ("method.key", "method"),
        ("method.rank", "settings"),
        ("train.steps", "settings"),
        ("optimizer.key", "settings"),
    ],
)
def test_each_setting_has_its_step(path: str, step: str) -> None:
    assert step_of(path) == step
