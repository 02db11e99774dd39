"""How a run looks on a terminal and in a log."""

from __future__ import annotations

import io

from rich.console import Console

from studio.cli.following import describe
from studio.cli.views import LiveView, PlainView, amount_of, make_view
from studio.project.pace import Pace
from studio.project.state import RunState
from studio.protocol import events


def a_step(number: int, seconds: float = 0.5) -> events.Step:
    return events.Step(
        step=number, loss=1 / number, learning_rate=1e-4, grad_norm=1, tokens=100, trained_tokens=50, seconds=seconds
    )


STORY = [
    events.Hello(job="train", pid=1, version="0"),
    events.Phase(name="Reading rows", done=5, total=60, unit="rows"),
    events.Phase(name="Training", done=0, total=200, unit="steps"),
    *[a_step(number) for number in range(1, 201)],
    events.Eval(step=200, loss=0.25, metrics={"perplexity": 1.28}, is_best=True),
    events.Sample(step=200, prompt="Who are\nyou?", text="A [bold]model[/bold]."),
    events.Notice(severity="warning", text="The disk is nearly full.", hint="Free some space."),
    events.Done(step=200),
]


def shown(*, is_terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=150, markup=False, highlight=False)
    view = make_view(console)
    for event in STORY:
        view.show([event])
    view.show([])
    view.close()
    assert isinstance(view, LiveView if is_terminal else PlainView)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_log_gets_a_line_each_fiftieth_and_every_event_worth_one() -> None:
    lines = shown(is_terminal=False).splitlines()
    assert 45 <= sum(line.startswith("step") and "tok/s" in line for line in lines) <= 55
    assert "step 200/200  loss 0.0050 · lr 1.00e-04 · 200 tok/s" in lines
    assert "step 200: held-out loss 0.2500, perplexity 1.28  (best so far)" in lines
    assert "step 200: 'Who are you?' -> 'A [bold]model[/bold].'" in lines
    assert "Warning: The disk is nearly full. Free some space." in lines


def test_a_terminal_gets_a_bar_and_the_same_words() -> None:
    output = shown(is_terminal=True)
    assert "200/200 steps" in output and "held-out loss 0.2500" in output and "[bold]" in output


def test_the_pace_is_that_of_the_last_steps_and_begins_anew_with_a_session() -> None:
    pace = Pace()
    for event in STORY[:103]:
        pace.take(event)
    assert pace.step == 100 and pace.tokens_per_second == 200 and pace.seconds_left == 50
    pace.take(events.Hello(job="train", pid=2, version="0", step=40))
    assert pace.step == 40 and pace.seconds_left is None and pace.total == 200


def test_amounts_and_states_read_well() -> None:
    assert amount_of(events.Phase(name="x", done=3_200_000, total=8e9, unit="bytes")) == "3.2 MB/8.0 GB"
    assert amount_of(events.Phase(name="x")) == ""
    assert describe(RunState(status="new")) == "new, step 0"
    state = RunState(status="done", step=60, total=60, loss=0.5, first_eval=2, best_eval=1, best_step=50, updated=62)
    assert describe(state) == "done, step 60 of 60, loss 0.5000, held-out loss 2.0000 -> 1.0000 (step 50), 1 min 02 s"
