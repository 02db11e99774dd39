"""A small training run on a toy model and made-up sums: real files, real worker code, a second or two of training."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.models.fingerprint import fingerprint
from studio.project.jobs import worker_environment
from studio.project.runs import Run
from studio.protocol import commands, events
from studio.spec.run_spec import RunSpec
from tests.helpers.toy_models import make_toy

QUICK = {
    "steps": 12,
    "batch_size": 4,
    "learning_rate": 5e-3,
    "precision": "fp32",
    "checkpoint_every": 5,
    "eval_every": 6,
    "samples": 0,
    "device": "cpu",
}


def write_sums(path: Path, *, count: int = 60, seed: int = 0) -> Path:
    """Chat rows of additions of uneven length."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            a, b = draw.randint(0, 99), draw.randint(0, 9)
            question = f"What is {a} plus {b}?" if draw.random() < 0.5 else f"Add {b} to {a}, then tell me the sum"
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": f"It is {a + b}."}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


def make_run(
    folder: Path,
    *,
    method: dict[str, Any] | None = None,
    optimizer: str = "adamw",
    name: str = "r1",
    family: str = "llama",
    **train: Any,
) -> Run:
    """A run folder ready to be trained; the toy model and rows are made once per `folder`."""
    model = folder / family
    if not model.is_dir():
        make_toy(model, family)
        write_sums(folder / "rows.jsonl")
    spec = RunSpec.model_validate(
        {
            "model": {"source": str(model)},
            "data": {"path": str(folder / "rows.jsonl"), "holdout": 0.1},
            "method": method or {"key": "lora"},
            "optimizer": {"key": optimizer},
            "train": {**QUICK, **train},
        }
    )
    return Run.create(folder, spec, name, fingerprints={"model": fingerprint(model)})


def train_here(
    run: Run,
    *,
    resume: bool = False,
    poll: Callable[[], list[commands.Command]] = list,
) -> list[events.Event]:
    """Train in this process and return its events, the last word included."""
    from studio.worker.training import train

    heard: list[events.Event] = []
    heard.append(train(run, heard.append, poll, resume=resume))
    return heard


def start_worker(run: Run, *, resume: bool = False, **options: Any) -> subprocess.Popen[bytes]:
    """Train in a process of its own, as the program does."""
    arguments = json.dumps({"run": str(run.folder), "resume": resume})
    command = [sys.executable, "-m", "studio.worker", "train", arguments]
    log = run.log_path.open("ab")
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=worker_environment(), **options
    )


def losses(heard: list[events.Event]) -> list[float]:
    """The loss of each step, in order."""
    return [event.loss for event in heard if isinstance(event, events.Step)]


def result_tensors(run: Run) -> dict[str, Any]:
    """All tensors of the run's result."""
    from safetensors.torch import load_file

    found: dict[str, Any] = {}
    for path in sorted(run.result_dir.glob("*.safetensors")):
        found |= load_file(path)
    return found


def assert_same_result(one: Run, other: Run) -> None:
    """Bit for bit."""
    import torch

    a, b = result_tensors(one), result_tensors(other)
    assert a.keys() == b.keys() and a
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different, f"{len(different)} of {len(a)} tensors differ, first {different[:3]}"
