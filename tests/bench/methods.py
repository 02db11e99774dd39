"""All methods on one task: the starter model and its rows, the same rows in the same order, the same number of steps.

Run: `python -m tests.bench.methods [--steps 60] [--quick] [--methods lora,lisa]`. Each method runs in a process of its
own on one thread. Losses and speed (by processor time) are those of a whole run; memory is that of a few steps of
another run, counted tensor by tensor (which would slow the first one down). The methods' own rates are made for models
a thousand times as large: `RATES` are for this one, chosen with `--sweep`, which tries three around each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from studio.methods import METHODS
from studio.paths import resources_dir

BATCH, LENGTH = 4, 256
QUICK_STEPS = 24
SWEEP = (1 / 3, 1.0, 3.0)
DEFAULT_RATE = 1e-3
RATES: dict[str, float] = {
    "badam": 3e-3,
    "eva": 3e-3,
    "freeze": 3e-3,
    "frugal": 3e-3,
    "galore": 3e-3,
    "ist": 1e-2,
    "lift": 1e-2,
    "lofit": 1e-1,
    "longlora": 3e-3,
    "lora": 3e-3,
    "miss": 3e-3,
    "natural_galore": 3e-3,
    "owlore": 3e-3,
    "qlora": 3e-3,
    "s2ft": 1e-2,
    "spiel": 1e-2,
}

# Settings that suit six layers and a hundred steps; all else is as the method's file says.
SETTINGS: dict[str, dict[str, Any]] = {
    "badam": {"interval": 10},
    "lisa": {"interval": 5},
    "lofit": {"selection_steps": 12},
    "owlore": {"interval": 5},
}


def main() -> None:
    """Run all methods and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps")
    parser.add_argument("--sweep", action="store_true", help="three rates a method, the best is shown")
    parser.add_argument("--methods", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    steps = QUICK_STEPS if options.quick else options.steps
    found = []
    for key in options.methods.split(",") if options.methods else METHODS.all():
        rate = RATES.get(key, DEFAULT_RATE)
        tried = [run(key, steps, rate * factor) for factor in (SWEEP if options.sweep else (1.0,))]
        found.append(min(tried, key=lambda figures: figures["loss"]))
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    print(json.dumps(found, indent=1)) if options.json else report(found, steps)


def run(key: str, steps: int, rate: float) -> dict[str, Any]:
    """One method, in a child."""
    command = [sys.executable, "-m", "tests.bench.methods", "--child", key, str(steps), str(rate)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        return {"method": key, "rate": rate, "loss": float("inf"), "error": done.stderr.strip().splitlines()[-1]}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def report(found: list[dict[str, Any]], steps: int) -> None:
    """The table, smallest held-out loss first."""
    columns = ("method", "rate", "held-out loss", "peak MB", "of it optimizer and gradients", "tokens/s")
    table = Table(*columns, title=f"starter model, {steps} steps of {BATCH} rows")
    for figures in sorted(found, key=lambda one: one["loss"]):
        if "error" in figures:
            table.add_row(figures["method"], f"{figures['rate']:.0e}", figures["error"])
            continue
        table.add_row(
            figures["method"],
            f"{figures['rate']:.0e}",
            f"{figures['before']:.3f} -> {figures['loss']:.3f}",
            f"{figures['peak'] / 1e6:.1f}",
            f"{figures['training'] / 1e6:.1f}",
            f"{figures['speed']:,.0f}",
        )
    Console().print(table)


def measure(key: str, steps: int, rate: float) -> None:
    """A whole run, then a few counted steps."""
    from studio.protocol import events

    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), list[float]()
        with around_steps(lambda loop: time.process_time(), lambda loop, begun: seconds.append(passed(begun))):
            heard = train(folder, key, steps, rate, "whole")
        evals = [event.loss for event in heard if isinstance(event, events.Eval)]
        done = [event.tokens for event in heard if isinstance(event, events.Step)]
        speed = statistics.median(tokens / took for tokens, took in zip(done[2:], seconds[2:], strict=True))
        figures = {"method": key, "rate": rate, "before": evals[0], "loss": evals[-1], "speed": speed}
        print(json.dumps({**figures, **count(folder, key, rate)}))


def passed(begun: float) -> float:
    """Processor seconds since then: other programs on this computer do not count."""
    return time.process_time() - begun


def count(folder: Path, key: str, rate: float) -> dict[str, int]:
    """Bytes of all tensors at the fullest moment of training, and of optimizer state and gradients at most."""
    from studio.engine.tracker import Tracker

    tracker, most = Tracker(), 0

    def begin(loop: Any) -> tuple[list[Any], list[int]]:
        if loop.progress.step == 0:
            tracker.restart()
        parameters = list({id(p): p for p in [*loop.plan.prepared.model.parameters(), *loop.parameters]}.values())
        sizes = [0]

        def note(parameter: Any) -> None:
            sizes.append(sum(p.grad.nbytes for p in parameters if p.grad is not None))

        return [p.register_post_accumulate_grad_hook(note) for p in parameters if p.requires_grad], sizes

    def end(loop: Any, begun: tuple[list[Any], list[int]]) -> None:
        nonlocal most
        hooks, sizes = begun
        for hook in hooks:
            hook.remove()
        states = [v for state in loop.optimizer.state.values() for v in state.values()]
        most = max(most, max(sizes) + sum(v.nbytes for v in states if hasattr(v, "nbytes")))

    few = SETTINGS.get(key, {}).get("selection_steps", 0) + 6
    with tracker, around_steps(begin, end):
        train(folder, key, few, rate, "counted", evaluate=False)
    return {"peak": tracker.peak_bytes, "training": most}


@contextlib.contextmanager
def around_steps(begin: Callable[[Any], Any], end: Callable[[Any, Any], None]) -> Iterator[None]:
    """Do something before and after every step of whatever is trained meanwhile."""
    from studio.engine.loop import Loop

    step = Loop._step

    def watched(self: Loop, batches: Any) -> None:
        begun = begin(self)
        step(self, batches)
        end(self, begun)

    with patch.object(Loop, "_step", watched):
        yield


def train(folder: Path, key: str, steps: int, rate: float, name: str, *, evaluate: bool = True) -> list[Any]:
    """A run on the starter in this process; its events."""
    import torch

    from studio.models.fingerprint import fingerprint
    from studio.project.runs import Run
    from studio.spec.run_spec import RunSpec
    from tests.helpers.small_run import train_here

    torch.set_num_threads(1)
    starter = resources_dir() / "starter"
    values = {
        "model": {"source": str(starter / "model")},
        "data": {"path": str(starter / "data" / "voice.jsonl"), "holdout": 0.15 if evaluate else 0},
        "method": {"key": key, **SETTINGS.get(key, {})},
        "train": {
            "steps": steps,
            "batch_size": BATCH,
            "max_length": LENGTH,
            "learning_rate": rate,
            "samples": 0,
            "eval_every": steps if evaluate else 0,
            "checkpoint_minutes": 0,
            "precision": "fp32",
            "device": "cpu",
        },
    }
    spec = RunSpec.model_validate(values)
    made = Run.create(folder, spec, name, fingerprints={"model": fingerprint(starter / "model")})
    return train_here(made)


if __name__ == "__main__":
    if "--child" in sys.argv:
        measure(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        main()
