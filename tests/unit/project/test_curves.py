"""A run's history as arrays: growing, resumed, smoothed, reduced to pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from studio.project.columns import Columns
from studio.project.curve_reduce import envelope, peaks, visible
from studio.project.curves import KINDS, RunCurves
from studio.project.journal import supersede
from studio.protocol import events
from tests.helpers.stories import a_memory, a_step, an_eval, hello, training


def curves_of(*batch: events.Event) -> RunCurves:
    curves = RunCurves()
    curves.take(batch)
    return curves


def test_columns_grow_and_are_cut_back() -> None:
    columns = Columns("a", "b")
    for number in range(3000):
        columns.append(number, -number)
    assert len(columns) == 3000 and columns.last("b") == -2999 and columns["a"].tolist() == [*range(3000)]
    columns.keep(10)
    columns.append(7, 8)
    assert columns["a"].tolist() == [*range(10), 7]
    assert math.isnan(Columns("a").last("a")) and Columns("a").last("a", 3) == 3


def test_a_resumed_session_replaces_what_it_does_anew_and_keeps_what_was_before_the_first_step() -> None:
    first = [hello(), training(100), an_eval(0, 3.0), *(a_step(n, loss=9) for n in range(1, 31)), an_eval(30, 2.0)]
    second = [
        hello(step=20, time=1000),
        training(100, time=1001),
        *(a_step(n, loss=1, start=1000) for n in range(21, 26)),
    ]
    curves = curves_of(*first, events.Done(reason="paused", step=30, time=40), *second)
    assert curves.step == 25 and curves.steps["loss"].tolist() == [9] * 20 + [1] * 5
    assert curves.before == 3.0 and len(curves.evals) == 1 and curves.end is None and curves.sessions == 2
    kept = [event for event in supersede([*first, *second]) if isinstance(event, events.Eval)]
    assert [event.step for event in kept] == [0]  # the journal agrees


def test_time_between_sessions_is_no_training_time() -> None:
    first = [hello(time=100), training(50, time=100), *(a_step(n, start=100) for n in range(1, 11))]
    curves = curves_of(*first, hello(step=10, time=90_000), *(a_step(n, start=90_000 - 10) for n in range(11, 21)))
    assert curves.steps["active"][-1] == 20 and np.all(np.diff(curves.steps["active"]) > 0)


def test_a_run_begun_anew_forgets_everything() -> None:
    curves = curves_of(hello(), an_eval(0, 3.0), a_step(1), hello(time=50), a_step(1, start=50))
    assert curves.step == 1 and len(curves.steps) == 1 and curves.before is None


def test_the_smoothed_loss_is_weighted_by_tokens_and_passes_over_what_is_no_number() -> None:
    curves = curves_of(hello(), training(10))
    curves.take([a_step(1, loss=1.0, trained=10), a_step(2, loss=4.0, trained=30), a_step(3, loss=math.nan)])
    assert curves.smoothing == 5
    assert curves.smoothed().tolist() == [1.0, 3.25, 3.25]
    curves.take([a_step(n, loss=2.0, trained=10) for n in range(4, 30)])
    assert curves.smoothed()[-1] == 2.0


def test_the_best_is_the_lowest_after_the_start() -> None:
    curves = curves_of(hello(), an_eval(0, 0.1))
    assert curves.best is None and curves.before == 0.1
    curves.take([an_eval(10, 2.0), an_eval(20, 1.5), an_eval(30, math.nan), an_eval(40, 1.6)])
    assert curves.best == (20, 1.5) and curves.eval_at(20) == 1.5 and curves.eval_at(25) is None


def test_memory_is_stacked_by_kind_and_unknown_kinds_are_other() -> None:
    gpu = {"weights": 5, "adapter": 1, "logits": 2, "other": 3}
    curves = curves_of(hello(), a_memory(0, gpu=gpu, read=0), a_memory(0, gpu={"weights": 1}, read=500, time=2))
    stack = curves.stack("gpu")
    assert stack.shape == (len(KINDS), 2) and stack[:, 0].tolist() == [5, 5, 1, 0, 0, 0, 0]
    assert curves.peak_bytes("gpu") == 11 and curves.has_gpu
    assert curves.memory["read"].tolist() == [0, 500]


def test_answers_are_gathered_by_prompt_newest_first() -> None:
    samples = [events.Sample(step=s, prompt=p, text=f"{p}{s}") for s in (0, 5) for p in "xy"]
    curves = curves_of(hello(), *samples)
    assert curves.prompts() == ["x", "y"] and [one.text for one in curves.answers("x")] == ["x5", "x0"]


def test_phases_tick_themselves_off_and_show_what_comes() -> None:
    curves = curves_of(hello(), events.Phase(name="Reading rows", done=3, total=60, unit="rows", time=1))
    rows = curves.phases.rows()
    assert [row.name for row in rows] == ["Reading rows", "Loading the model", "Training"]
    assert curves.phases.current is rows[0] and not curves.phases.is_training
    curves.take([events.Phase(name="Reading rows", done=60, unit="rows", time=2), training(9, time=3)])
    rows = curves.phases.rows()
    assert [bool(row.ended) for row in rows] == [True, False] and rows[0].total == 60 and curves.phases.is_training


def test_the_envelope_keeps_every_extreme_and_few_points() -> None:
    draw = np.random.default_rng(0)
    x, y = np.arange(100_000.0), draw.normal(size=100_000)
    y[77_777], y[123] = 50, np.nan
    some_x, some_y = envelope(x, y, 500)
    assert len(some_x) <= 1001 and some_y.max() == 50 and some_y.min() == np.nanmin(y)
    assert np.all(np.diff(some_x) >= 0) and some_x[0] == 0 and some_x[-1] == 99_999
    assert envelope(x[:10], y[:10], 500)[1].tolist() == y[:10].tolist()


def test_a_reduced_stack_never_loses_the_peak_nor_invents_one() -> None:
    draw = np.random.default_rng(0)
    x, stack = np.arange(20_000.0), draw.random((7, 20_000))
    total = stack.sum(axis=0)
    picked = peaks(x, total, 300)
    assert len(picked) <= 602 and np.all(np.diff(picked) > 0)
    assert total[picked].max() == total.max() and picked[0] == 0 and picked[-1] == 19_999


@pytest.mark.parametrize(("low", "high", "shown"), [(2, 4, [1, 2, 3, 4, 5]), (-9, 99, list(range(10))), (20, 30, [9])])
def test_what_is_visible_runs_out_of_the_picture(low: float, high: float, shown: list[int]) -> None:
    x = np.arange(10.0)
    assert x[visible(x, low, high)].tolist() == shown
