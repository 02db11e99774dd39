"""The Train page: nothing trained, getting ready, training, finished, paused, failed, its folder gone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable

from studio.errors import Problem
from studio.gui.train_page.page import TrainPage
from studio.project.folder import Project
from studio.project.runs import Run
from studio.protocol import events
from tests.gui.samples import make_starter_project
from tests.gui.scenes import Scene, Stage
from tests.helpers.stories import a_run, a_step, an_eval, hello, training


def tell(run: Run, story: Iterable[events.Event]) -> None:
    """Write a run's journal as a worker would have."""
    lines = (events.encode(event.model_copy(update={"seq": at})) for at, event in enumerate(story, 1))
    run.events_path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def told_run(project: Project, story: Iterable[events.Event], name: str = "", *, kept: Iterable[int] = ()) -> Run:
    """A run of the project's draft with this journal and these checkpoints."""
    run = Run.create(project.folder, project.draft(), name)
    tell(run, story)
    for step in kept:
        run.checkpoint_dir(step).mkdir(parents=True)
        (run.checkpoint_dir(step) / "manifest.json").write_text("{}", encoding="utf-8")
    return run


def show_run(stage: Stage, run: Run | None, state: str, *, is_running: bool = False) -> TrainPage:
    """Open the run's project on the Train page, and wait for a state of it."""
    if run is not None and is_running:
        held = run.lock()
        held.__enter__()
        stage.window.destroyed.connect(lambda: held.__exit__(None, None, None))
    if run is not None:
        stage.context.session.open(run.project_folder)
    stage.window.show_page("train", **({"run": run} if run else {}))
    page = stage.window.page("train")
    assert isinstance(page, TrainPage)
    stage.pump(lambda: page.states.state() == state)
    return page


def _project(stage: Stage) -> Project:
    return make_starter_project(stage.home / "Support tone")


def _empty(stage: Stage) -> None:
    stage.context.session.open(_project(stage).folder)
    show_run(stage, None, "empty")


def _busy(stage: Stage) -> None:
    now = time.time()
    story: list[events.Event] = [
        hello(time=now - 9),
        events.Phase(name="Reading rows", done=11_842, total=11_842, unit="rows", time=now - 8),
        events.Phase(name="Loading the model", done=1.7e9, total=2.65e9, unit="bytes", time=now - 4),
    ]
    show_run(stage, told_run(_project(stage), story), "ready", is_running=True)


def _live(stage: Stage) -> None:
    story = list(a_run(812, total=1450, start=time.time() - 812.8))
    run = told_run(_project(stage), story, kept=(720, 810))
    page = show_run(stage, run, "full", is_running=True)
    assert page.watch is not None
    stage.pump(lambda: page.watch.predicted_bytes is not None)
    page.watch.set_predicted(5_900_000_000)  # the story is of a larger model than the project's
    page.watch.curves.take(
        [events.Layers(step=800, active=[2, 7, 19, 30], total=36, others=True, turns=[1, 1, 2, 0] * 9)]
    )
    stage.settle(200)


def _hair(stage: Stage) -> None:
    _live(stage)
    page = stage.window.page("train")
    assert isinstance(page, TrainPage) and page.view is not None
    page.view.loss.set_log(True)
    page.view.point_at_step(420)


def _overfitting(stage: Stage) -> None:
    start = time.time() - 600
    steps = [a_step(n, loss=2.6 * 0.996**n + 0.2, start=start) for n in range(1, 600)]
    checks = [
        an_eval(at, value) for at, value in ((0, 2.6), (100, 1.9), (200, 1.6), (300, 1.5), (400, 1.58), (500, 1.69))
    ]
    story = [hello(time=start), training(900, time=start), *steps, *checks]
    show_run(stage, told_run(_project(stage), sorted(story, key=_moment), kept=(300, 500)), "full", is_running=True)


def _moment(event: events.Event) -> tuple[int, float]:
    return (getattr(event, "step", 0), 0.0 if isinstance(event, events.Hello | events.Phase) else 1.0)


def _done(stage: Stage) -> None:
    project = stage.trained()
    show_run(stage, project.runs()[-1], "full")


def _paused(stage: Stage) -> None:
    start = time.time() - 4000
    story = [*a_run(812, total=1450, start=start, gpu=False), events.Done(reason="paused", step=812, time=start + 813)]
    show_run(stage, told_run(_project(stage), story, kept=(720, 812)), "full")


def _failed(stage: Stage) -> None:
    start = time.time() - 400
    failed = events.Failed(
        kind="user",
        message="Memory ran out during step 215. In use were weights 2.7 GB, activations 8.1 GB.",
        hint="Start again with one of these settings.",
        problems=[
            Problem(
                "train.batch_size=2, train.accumulation=2", "saves 4.2 GB.", "The same result, 4 % slower."
            ).as_dict(),
            Problem("train.activation_checkpointing=true", "saves 6.0 GB.", "A step takes a third longer.").as_dict(),
        ],
        time=start + 215,
    )
    run = told_run(_project(stage), [*a_run(214, total=1450, start=start), failed], kept=(200,))
    show_run(stage, run, "full")


def _refused(stage: Stage) -> None:
    now = time.time()
    failed = events.Failed(
        kind="user",
        message="No row trains a single token: the template marks no answers.",
        hint="Choose which turns to learn from.",
        time=now - 1,
    )
    show_run(stage, told_run(_project(stage), [hello(time=now - 5), failed]), "full")


def _gone(stage: Stage) -> None:
    project = _project(stage)
    page = show_run(stage, told_run(project, a_run(200)), "full")
    shutil.rmtree(project.runs_dir)
    stage.pump(lambda: page.states.state() == "error")


def _log(stage: Stage) -> None:
    _live(stage)
    page = stage.window.page("train")
    assert isinstance(page, TrainPage) and page.watch is not None
    notice = events.Notice(
        severity="warning", text="12 rows were cut.", hint="Raise train.max_length.", time=time.time()
    )
    page.watch.curves.take([events.Notice(text="900 rows, 45 of them held out.", time=time.time()), notice])
    page.toggle_log()


SCENES: list[Scene] = [
    Scene("empty", _empty),
    Scene("busy", _busy),
    Scene("full", _live),
    Scene("crosshair", _hair),
    Scene("overfitting", _overfitting),
    Scene("done", _done),
    Scene("paused", _paused),
    Scene("error", _failed),
    Scene("refused", _refused),
    Scene("gone", _gone),
    Scene("log", _log),
    Scene("closing", _live, asks=lambda stage: stage.window.close()),
]
