"""Run folders: frozen specs, names, locks, and states read from the journal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from studio.errors import UserError
from studio.project.folder import Project
from studio.project.journal import EventLog
from studio.project.runs import Run
from studio.protocol import events
from studio.spec.file import parse_spec
from studio.spec.run_spec import RunSpec
from tests.unit.project.test_journal import a_hello, a_step

HOLD = """
import sys
from pathlib import Path
from studio.project.runs import Run
with Run(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def spec() -> RunSpec:
    return parse_spec({"model": {"source": "models/base"}, "data": {"path": "data/rows.jsonl"}})


@pytest.fixture
def run(tmp_path: Path, spec: RunSpec) -> Run:
    return Run.create(tmp_path / "project", spec, "first", fingerprints={"model": "abc"})


def test_a_frozen_spec_moves_with_its_project(tmp_path: Path, run: Run) -> None:
    (tmp_path / "project" / "models" / "base").mkdir(parents=True)
    (tmp_path / "project").rename(tmp_path / "moved")
    moved = Run.open(tmp_path / "moved" / "runs" / "first")
    assert moved.spec().data.path == str(tmp_path / "moved" / "data" / "rows.jsonl")
    assert moved.spec().model.source == str(tmp_path / "moved" / "models" / "base")
    assert moved.fingerprints == {"model": "abc"}


def test_names_are_made_or_checked(tmp_path: Path, spec: RunSpec) -> None:
    made = [Run.create(tmp_path, spec).name for _ in range(3)]
    assert len(set(made)) == 3 and all("lora" in name for name in made)
    Run.create(tmp_path, spec, "mine")
    with pytest.raises(UserError, match="already"):
        Run.create(tmp_path, spec, "mine")
    for name in ("../x", "a/b", "a\\b", "nul", "CON.txt", "x" * 81, "dot.", " x", "a:b", "\x00"):
        with pytest.raises(UserError, match="cannot be a name"):
            Run.create(tmp_path, spec, name)


def test_only_one_worker_holds_a_run_and_its_death_lets_go(run: Run) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert run.state().status == "running"
        with pytest.raises(UserError, match="already being worked on"), run.lock():
            pass
        holder.kill()
    assert run.state().status == "new"
    with run.lock():
        assert run.is_running()


def say(run: Run, *said: events.Event) -> None:
    log = EventLog(run.events_path)
    for event in said:
        log.append(event)
    log.close()


def test_a_state_sums_up_all_sessions(run: Run) -> None:
    assert run.state().status == "new"
    say(run, a_hello(), events.Phase(name="Training", total=10, unit="steps"), events.Eval(step=0, loss=3.0))
    say(run, a_step(1, 2.5), a_step(2, 2.0), events.Eval(step=2, loss=1.0), a_step(3))
    state = run.state()
    assert (state.status, state.step, state.total, state.loss) == ("interrupted", 3, 10, 1.0)
    assert (state.first_eval, state.best_eval, state.best_step) == (3.0, 1.0, 2)
    say(run, a_hello(1))
    state = run.state()
    assert (state.step, state.first_eval, state.best_eval, state.sessions) == (1, 3.0, 3.0, 2)
    say(run, a_step(2, 1.5), events.Done(reason="finished", step=2))
    assert (run.state().status, run.state().loss, run.state().is_unfinished) == ("done", 1.5, False)


def test_a_session_that_was_killed_as_it_began_is_where_it_took_up(run: Run) -> None:
    """Its predecessor's last step came after the checkpoint, so nothing is left of it."""
    say(run, a_hello(), a_step(1), a_step(2), a_hello(2), a_step(3), a_step(4))
    say(run, a_hello(3))
    assert run.state().step == 3


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (events.Done(reason="paused"), "paused"),
        (events.Done(reason="stopped"), "stopped"),
        (events.Done(reason="cancelled"), "stopped"),
        (events.Done(reason="early_stop"), "done"),
        (events.Failed(kind="user", message="The disk is full."), "failed"),
    ],
)
def test_each_last_word_is_a_state(run: Run, last: events.Event, status: str) -> None:
    say(run, a_hello(), a_step(1), last)
    assert run.state().status == status
    assert run.state().is_unfinished == (status != "done")


def test_weights_are_found_or_the_choice_is_named(run: Run) -> None:
    with pytest.raises(UserError, match="no result yet"):
        run.weights()
    folder = run.checkpoint_dir(20)
    (folder / "weights").mkdir(parents=True)
    with pytest.raises(UserError, match="no checkpoints"):
        run.weights(20)  # no manifest: not complete
    (folder / "manifest.json").write_text("{}")
    assert run.weights(20) == folder / "weights"
    with pytest.raises(UserError, match="Checkpoints: 20"):
        run.weights(30)


def test_projects_and_runs_are_told_apart(tmp_path: Path, spec: RunSpec) -> None:
    project = Project.create(tmp_path / "p", spec)
    run = Run.create(project.folder, spec, "one")
    assert [found.name for found in project.runs()] == ["one"]
    assert project.draft() == spec
    with pytest.raises(UserError, match="Its runs: one"):
        Run.open(project.folder)
    with pytest.raises(UserError, match="is no project"):
        Project.open(run.folder)
    with pytest.raises(UserError, match="is a project already"):
        Project.create(project.folder, spec)
