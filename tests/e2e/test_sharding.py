"""Full fine-tuning in two processes that hold a part of the model each: what one process with the same rows does."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from studio.project.jobs import worker_environment
from studio.project.journal import EventReader
from studio.project.launch import start_run
from studio.project.runs import Run
from studio.protocol import events
from tests.helpers.small_run import losses, make_run, train_here

FULL: dict[str, Any] = {"key": "full"}
TRAIN: dict[str, Any] = {
    "learning_rate": 1e-3, "steps": 8, "eval_every": 4, "samples": 2, "checkpoint_every": 4, "keep_checkpoints": 3
}  # fmt: skip


def train_together(run: Run, *, resume: bool = False) -> list[events.Event]:
    """Train in two processes; the events of this session, its last word included."""
    reader = EventReader(run.events_path)
    reader.poll()  # what earlier sessions said
    heard: list[events.Event] = []
    start_run(run, processes=2, resume=resume)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not any(isinstance(e, events.Done | events.Failed) for e in heard):
        heard += reader.poll()
        time.sleep(0.1)
    assert isinstance(heard[-1], events.Done | events.Failed), run.log_path.read_text()[-3000:]
    return heard


def samples(heard: list[events.Event]) -> list[str]:
    return [e.text for e in heard if isinstance(e, events.Sample)]


def figures(heard: list[events.Event]) -> list[float]:
    """Losses, gradient norms and held-out losses."""
    norms = [e.grad_norm for e in heard if isinstance(e, events.Step)]
    return losses(heard) + norms + [e.loss for e in heard if isinstance(e, events.Eval)]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "more"), [("llama", {"activation_checkpointing": True}), ("gemma2", {})])
def test_two_processes_with_half_a_model_each_equal_one(family: str, more: dict[str, Any], tmp_path: Path) -> None:
    one = make_run(tmp_path, method=FULL, family=family, name="one", accumulation=2, **TRAIN, **more)
    heard = train_here(one)
    two = make_run(tmp_path, method=FULL, family=family, name="two", **TRAIN, **more)
    together = train_together(two)
    assert figures(together) == pytest.approx(figures(heard), rel=2e-5, abs=2e-5), two.log_path.read_text()[-2000:]
    assert samples(together) == samples(heard) and len(samples(heard)) == 3 * 2
    held, whole = (next(e for e in reversed(each) if isinstance(e, events.Memory)).ram for each in (together, heard))
    for kind in ("weights", "gradients"):
        assert 0.49 * whole[kind] < held[kind] < 0.53 * whole[kind], kind
    ours, theirs = (load_file(run.result_dir / "model.safetensors") for run in (two, one))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.float().sub(theirs[name].float()).abs().max() < 1e-4, name


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    one = make_run(tmp_path, method=FULL, name="one", accumulation=2, **TRAIN)
    wanted = losses(train_here(one))
    two = make_run(tmp_path, method=FULL, name="two", **TRAIN)
    train_together(two)

    shutil.rmtree(one.checkpoint_dir(8))
    shutil.copytree(one.checkpoint_dir(4), two.checkpoint_dir(4), dirs_exist_ok=True)
    shutil.rmtree(two.checkpoint_dir(8))
    assert losses(train_together(two, resume=True)) == pytest.approx(wanted[4:], abs=1e-5)  # one's checkpoint, on two

    three = make_run(tmp_path, method=FULL, name="three", **TRAIN)
    train_together(three)
    shutil.rmtree(one.checkpoint_dir(4))
    shutil.copytree(three.checkpoint_dir(4), one.checkpoint_dir(4))
    assert losses(train_here(one, resume=True)) == pytest.approx(wanted[4:], abs=1e-5)  # two's checkpoint, on one


@pytest.mark.slow
def test_two_machines_share_a_run(tmp_path: Path) -> None:
    """As README says to start them, both of them here."""
    heard = train_here(make_run(tmp_path, method=FULL, name="one", accumulation=2))
    run = make_run(tmp_path, method=FULL, name="two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    place = ["--master-addr", "127.0.0.1", "--master-port", port]
    work = ["-m", "studio.worker", "train", json.dumps({"run": str(run.folder)})]
    with run.log_path.open("ab") as log:
        machines = [
            subprocess.Popen(
                [*launcher, *place, "--node-rank", rank, *work], stdout=log, stderr=log, env=worker_environment()
            )
            for rank in ("0", "1")
        ]
        assert [machine.wait(timeout=180) for machine in machines] == [0, 0], run.log_path.read_text()[-3000:]
    assert losses(EventReader(run.events_path).poll()) == pytest.approx(losses(heard), abs=1e-5)


@pytest.mark.slow
def test_an_optimizer_that_needs_whole_tensors_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path, method=FULL, optimizer="adamw_8bit", **TRAIN)
    last = train_together(run)[-1]
    assert isinstance(last, events.Failed)
    assert "adamw_8bit" in last.message and '"adamw" or "sgd"' in last.hint
