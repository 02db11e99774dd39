"""The command line as a person uses it: each test is a project on a tiny model, every command a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studio.project.runs import Run
from tests.helpers.toy_models import make_toy

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def tunesmith(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run a command to its end and return its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "studio", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy model, rows, and a project `p` on them."""
    folder = tmp_path_factory.mktemp("cli")
    make_toy(folder / "toy")
    with (folder / "rows.jsonl").open("w") as file:
        for number in range(60):
            messages = [
                {"role": "user", "content": f"What is {number} plus one?"},
                {"role": "assistant", "content": f"It is {number + 1}."},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    quick = ["train.steps=6", "train.precision=fp32", "train.samples=0", "train.eval_every=3", "train.device=cpu"]
    sets = [part for text in quick for part in ("--set", text)]
    tunesmith(folder, "init", "p", "--model", "toy", "--data", "rows.jsonl", *sets)
    return folder


def test_train_watch_compare_and_measure(place: Path) -> None:
    output = tunesmith(place, "train", "p", "--name", "first")
    assert "held-out loss" in output and "done, step 6 of 6" in output
    tunesmith(place, "train", "p", "--name", "second", "--set", "method.rank=4")
    assert "done, step 6 of 6" in tunesmith(place, "watch", "p/runs/first")
    rows = {row["name"]: row for row in json.loads(tunesmith(place, "runs", "p", "--json"))}
    assert rows["first"]["status"] == "done" and rows["second"]["differs"] == {"method.rank": 4}
    assert rows["first"]["best_eval"] < rows["first"]["first_eval"]
    assert "second" in tunesmith(place, "runs", "p")
    measured = json.loads(tunesmith(place, "eval", "p/runs/first", "--json"))
    assert measured["tuned"]["loss"] < measured["base"]["loss"]
    record = Run(place / "p" / "runs" / "first").record()
    assert record["spec"]["train"]["learning_rate"] > 0 and set(record["fingerprints"]) == {"model", "data"}
    assert "is finished" in tunesmith(place, "resume", "p/runs/first", code=2)


def test_a_detached_run_is_paused_and_goes_on(place: Path) -> None:
    long = ["--set", "train.steps=100000", "--set", "data.holdout=0"]
    tunesmith(place, "train", "p", "--name", "long", "--detach", *long)
    run = Run(place / "p" / "runs" / "long")
    wait_for_steps(run, 3)
    assert "running already" in tunesmith(place, "resume", str(run.folder), code=2)
    tunesmith(place, "pause", str(run.folder))
    paused = run.state()
    assert paused.status == "paused" and paused.step >= 3 and run.checkpoints() == [paused.step]
    tunesmith(place, "train", "p", "--resume", "--detach")
    wait_for_steps(run, paused.step + 2)
    os.kill(run.state().pid, signal.SIGKILL)
    wait_until(lambda: not run.is_running())
    assert run.state().status == "interrupted"
    tunesmith(place, "resume", str(run.folder), "--detach")
    wait_until(lambda: run.state().sessions == 3)
    tunesmith(place, "stop", str(run.folder))
    assert run.state().status == "stopped" and run.weights(None).is_dir()
    assert "is not running" in tunesmith(place, "stop", str(run.folder), code=2)


def test_ctrl_c_saves_and_stops(place: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "studio", "train", "p", "--name", "cut", "--set", "train.steps=100000"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run = Run(place / "p" / "runs" / "cut")
    wait_until(run.spec_path.is_file)
    wait_for_steps(run, 2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "Saving and stopping" in output
    assert run.state().status == "stopped" and run.weights(None).is_dir()


def test_changed_rows_are_not_taken_for_the_old_ones(place: Path) -> None:
    (place / "own.jsonl").write_text((place / "rows.jsonl").read_text())
    tunesmith(place, "init", "q", "--model", "toy", "--data", "own.jsonl", "--set", "train.steps=100000")
    tunesmith(place, "train", "q", "--name", "run", "--detach")
    tunesmith(place, "stop", "q/runs/run")
    (place / "own.jsonl").write_text((place / "rows.jsonl").read_text().replace("plus", "and"))
    assert "has changed since" in tunesmith(place, "train", "q", "--resume", code=2)


def test_rows_that_cannot_be_used_end_with_file_and_line(place: Path) -> None:
    lines = (place / "rows.jsonl").read_text().splitlines()
    (place / "bad.jsonl").write_text("\n".join([*lines[:5], '{"messages": [', *lines[5:]]))
    tunesmith(place, "init", "bad", "--model", "toy", "--data", "bad.jsonl")
    output = tunesmith(place, "train", "bad", code=2)
    assert "6" in output and "Traceback" not in output


def wait_for_steps(run: Run, step: int) -> None:
    wait_until(lambda: run.state().step >= step or run.state().status == "failed")
    assert run.state().status == "running", run.state().message


def wait_until(is_so: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)
