"""The Runs page: none yet, being read, several side by side, one damaged."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Iterator

from studio.gui.runs_page.page import RunsPage
from studio.project.folder import Project
from studio.project.run_keeping import write_notes
from studio.project.runs import Run
from studio.protocol import events
from studio.spec.values import set_values
from tests.gui.samples import make_starter_project
from tests.gui.scenes import Scene, Stage
from tests.gui.scenes.train import tell
from tests.helpers.stories import a_memory, a_step, hello, training


def a_story(steps: int, total: int, *, floor: float, seed: int, start: float) -> Iterator[events.Event]:
    """A run whose held-out loss falls to a little above `floor`."""
    draw = random.Random(seed)
    yield hello(time=start)
    yield training(total, time=start)
    for number in range(steps + 1):
        clean = floor + (2.5 - floor) * math.exp(-7 * number / 1450)
        if number:
            yield a_step(number, loss=clean + draw.gauss(-0.05, 0.05), start=start)
        if number % 100 == 0 or number == steps:
            gpu = {"weights": 2_650_000_000, "activations": 1_700_000_000 + seed * 900_000_000, "other": 700_000_000}
            yield a_memory(number, gpu=gpu, time=start + number + 0.2)
            yield events.Sample(
                step=number, prompt="Do you price-match?", text=_answer(number), time=start + number + 0.3
            )
            yield events.Eval(step=number, loss=clean, is_best=number > 0, time=start + number + 0.4)


def _answer(step: int) -> str:
    if not step:
        return "As an AI language model, I cannot provide real-time prices."
    return "Yes, we do. Send me the link and I will match it today, as long as the shop has it in stock."


def make_runs(project: Project) -> list[Run]:
    """Five runs: two finished, one stopped, one failed early, one never heard of again."""
    now, runs = time.time(), []
    for number, (settings, steps, floor, ending) in enumerate(_RUNS):
        spec = set_values(project.draft(), settings)
        run = Run.create(project.folder, spec, f"20261120-10000{number}-{spec.method.key}")
        os.utime(run.spec_path, (now - 9000 + number, now - 9000 + number))
        last = [] if ending is None else [ending.model_copy(update={"time": now - 5000})]
        tell(run, [*a_story(steps, 1450, floor=floor, seed=number, start=now - 8000), *last])
        if steps > 100:
            (run.checkpoint_dir(steps)).mkdir(parents=True)
            (run.checkpoint_dir(steps) / "manifest.json").write_bytes(b"{" + b" " * 14_000_000 + b"}")
            run.result_dir.mkdir()
            (run.result_dir / "adapter_model.safetensors").write_bytes(bytes(6_000_000))
        runs.append(run)
    write_notes(runs[2], "Rank 16 after run 1 missed part numbers. Corrected 14 answers in the playground first.")
    return runs


_FAILED = events.Failed(kind="user", message="Training diverged at step 60.", hint="Start again with a lower rate.")
_RUNS = (
    (("method.rank=8", "train.learning_rate=2e-4"), 1450, 1.42, events.Done(step=1450)),
    (("method.key=full", "train.learning_rate=2e-5"), 1450, 1.39, events.Done(step=1450)),
    (("method.rank=16", "train.learning_rate=1.5e-4"), 812, 1.31, events.Done(reason="stopped", step=812)),
    (("method.rank=16", "train.learning_rate=2e-3"), 60, 2.3, _FAILED),
    (("method.rank=4",), 40, 2.2, None),
)


def open_runs(stage: Stage, project: Project) -> RunsPage:
    """Show the page over a project, with all digests read."""
    stage.context.session.open(project.folder)
    stage.window.show_page("runs")
    page = stage.window.page("runs")
    assert isinstance(page, RunsPage)
    stage.pump(lambda: page.states.state() == "full" and all(entry.digest for entry in page.library.entries))
    stage.settle(60)
    return page


def _project(stage: Stage) -> Project:
    return make_starter_project(stage.home / "Support tone")


def _empty(stage: Stage) -> None:
    stage.context.session.open(_project(stage).folder)
    stage.window.show_page("runs")
    stage.settle(200)


def _full(stage: Stage) -> None:
    project = _project(stage)
    make_runs(project)
    page = open_runs(stage, project)
    assert page.board is not None
    stage.pump(lambda: len(page.board.model.entries) == 3, 3)


def _early(stage: Stage) -> None:
    _full(stage)
    page = stage.window.page("runs")
    assert isinstance(page, RunsPage) and page.board is not None
    page.board.early.click()
    page.board.overlay.plot.point_at(700)


def _busy(stage: Stage) -> None:
    project = _project(stage)
    run = make_runs(project)[-1]
    held = run.lock()
    held.__enter__()
    stage.window.destroyed.connect(lambda: held.__exit__(None, None, None))
    open_runs(stage, project)


def _error(stage: Stage) -> None:
    project = _project(stage)
    runs = make_runs(project)
    runs[-1].spec_path.write_text("version: 1\nspec: [oh", encoding="utf-8")
    runs[-1].events_path.write_bytes(runs[2].events_path.read_bytes()[:400_000] + b"\x00\xff garbage\n" * 40)
    page = open_runs(stage, project)
    assert page.board is not None
    if page.board.early.isVisible():
        page.board.early.click()
    page.board.table.selectRow(page.board.model.row_of(runs[-1].name))


SCENES: list[Scene] = [
    Scene("empty", _empty),
    Scene("busy", _busy),
    Scene("full", _full),
    Scene("early", _early),
    Scene("error", _error),
]
