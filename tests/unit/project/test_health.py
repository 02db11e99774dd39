"""The health line: each word has a run that earns it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from studio.project.curves import RunCurves
from studio.project.health import Surroundings, judge
from studio.project.state import Status
from studio.protocol import events
from tests.helpers.stories import GB, a_memory, a_run, a_step, an_eval, hello, training


def curves_of(batch: Iterable[events.Event]) -> RunCurves:
    curves = RunCurves()
    curves.take(batch)
    return curves


def word(curves: RunCurves, **around: object) -> str:
    return judge(curves, running(curves, **around)).word


def running(curves: RunCurves, **around: object) -> Surroundings:
    values: dict[str, object] = {"status": "running", "now": curves.heard + 1, **around}
    return Surroundings(**values)  # type: ignore[arg-type]


def losses(values: Iterable[float], *, total: int = 0) -> list[events.Event]:
    each = list(values)
    return [hello(), training(total or len(each)), *(a_step(n, loss=v) for n, v in enumerate(each, 1))]


def test_a_run_that_learns_is_healthy_and_says_by_what() -> None:
    curves = curves_of(a_run(800, total=1450))
    verdict = judge(curves, running(curves, predicted_bytes=int(6.15 * GB)))
    assert verdict.word == "Healthy." and verdict.tone == "good"
    assert verdict.sentence == "Held-out loss fell at 8 of the last 8 checks. Memory is 0.5 GB below the plan."


def test_the_first_steps_are_not_judged() -> None:
    assert word(curves_of(losses([3, 9, 27], total=100))) == "Starting."


@pytest.mark.parametrize("after", [[2.0 + 0.05 * n for n in range(60)], [math.nan]])
def test_a_rising_or_lost_loss_diverges(after: list[float]) -> None:
    curves = curves_of(losses([3 - 0.02 * n for n in range(50)] + after))
    verdict = judge(curves, running(curves, kept_steps=(40,)))
    assert verdict.word == "Diverging." and "Step 40 is saved" in verdict.sentence and verdict.advice == "stop"


def test_noise_alone_is_no_divergence() -> None:
    for seed in range(5):
        assert word(curves_of(a_run(400, total=400, seed=seed))) == "Healthy."


def test_a_rising_held_out_loss_is_overfitting_and_says_what_is_kept() -> None:
    falling = losses([3 * 0.99**n for n in range(400)], total=600)
    curves = curves_of([*falling, *(an_eval(s, v) for s, v in [(0, 3), (100, 2), (200, 2.1), (300, 2.3), (400, 2.4)])])
    verdict = judge(curves, running(curves, kept_steps=(100, 400)))
    assert verdict.word == "Overfitting."
    assert verdict.sentence == "Held-out loss has risen since step 100: it learns the rows by heart. Step 100 is kept."
    kept_before = judge(curves, running(curves, kept_steps=(90, 400))).sentence
    assert kept_before.endswith("The checkpoint before it, step 90, is kept.")


def test_a_loss_that_never_moves_is_flat() -> None:
    assert word(curves_of(losses([2.0 + 0.1 * math.sin(9 * n) for n in range(300)]))) == "Flat."


def test_a_held_out_loss_that_stays_is_flat_and_says_since_when() -> None:
    falling = losses([3 * 0.995**n for n in range(600)])
    checks = [an_eval(100 * n, 2 - n / 3 if n < 3 else 1.0) for n in range(7)]
    curves = curves_of([*falling, *checks, an_eval(700, 1.001)])
    assert judge(curves, running(curves)).sentence == "Held-out loss has stayed at 1.001 since step 300."


def test_a_hot_or_waiting_card() -> None:
    curves = curves_of(a_run(100))
    assert word(curves, temperature=91.0) == "Hot." and word(curves, temperature=70.0) == "Healthy."
    assert word(curves, busy=0.2) == "Starved." and word(curves, busy=0.95) == "Healthy."


def test_a_worker_that_hangs_is_quiet_though_it_still_samples_memory() -> None:
    curves = curves_of(a_run(100))
    curves.take([a_memory(100, time=curves.heard + 500)])
    verdict = judge(curves, running(curves))
    assert verdict.word == "Quiet." and "still runs" in verdict.sentence and verdict.advice == "log"
    assert "nothing at all" in judge(curves, running(curves, now=curves.heard + 900)).sentence


def test_a_worker_that_hangs_before_its_first_step_is_quiet_too() -> None:
    assert word(curves_of([hello(time=5)]), now=300.0) == "Quiet."
    assert word(curves_of([hello(time=5)]), now=20.0) == "Starting."


def test_steps_that_always_took_long_are_not_quiet() -> None:
    slow = [hello(), training(50), *(a_step(n, start=100.0 * n) for n in range(1, 20))]
    curves = curves_of(slow)
    assert word(curves, now=curves.heard + 250) != "Quiet."


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("paused", "Paused."), ("done", "Done."), ("stopped", "Stopped."), ("failed", "Failed."),
        ("interrupted", "Interrupted."), ("new", "Not begun."),
    ],
)  # fmt: skip
def test_a_run_at_rest_says_how_it_ended(status: Status, expected: str) -> None:
    curves = curves_of(a_run(100))
    verdict = judge(curves, Surroundings(status, now=0, kept_steps=(96,)))
    assert verdict.word == expected and verdict.sentence
    assert judge(RunCurves(), Surroundings(status, now=0)).word == expected
