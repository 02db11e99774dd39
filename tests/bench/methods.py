"""All methods on one task: the starter model and its rows, the same rows in the same order, the same number of steps.

Run: `python -m tests.bench.methods [--steps 120] [--quick] [--methods lora,lisa]`. Each method runs in a process of its
own on one thread. Speed and losses are those of a whole run; memory is that of a few steps of another run, counted
tensor by tensor (which would slow the first one down). Rates are the best of `RATES` for this small model, found with
`--sweep`, which tries three around them: the methods' own defaults are made for models a thousand times its size.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from studio.methods import METHODS
from studio.paths import resources_dir

BATCH, LENGTH = 4, 256
QUICK_STEPS = 24
SWEEP = (1 / 3, 1.0, 3.0)
DEFAULT_RATE = 1e-3
RATES: dict[str, float] = {}

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
    parser.add_argument("--steps", type=int, default=120)
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
        heard = train(Path(name), key, steps, rate, "whole")
        evals = [event.loss for event in heard if isinstance(event, events.Eval)]
        done = [event for event in heard if isinstance(event, events.Step)]
        speed = statistics.median(step.tokens / step.seconds for step in done[2:])
        figures = {"method": key, "rate": rate, "before": evals[0], "loss": evals[-1], "speed": speed}
        print(json.dumps({**figures, **count(Path(name), key, rate)}))


def count(folder: Path, key: str, rate: float) -> dict[str, int]:
    """Bytes of all tensors at the fullest moment of training, and of optimizer state and gradients at most."""
    from studio.engine.loop import Loop
    from studio.engine.tracker import Tracker

    tracker, most = Tracker(), [0]
    step = Loop._step

    def watched(self: Loop, batches: Any) -> None:
        if self.progress.step == 0:
            tracker.restart()
        parameters = [*self.plan.prepared.model.parameters(), *self.parameters]
        gradients: dict[int, int] = {}

        def note(parameter: Any) -> None:
            now = {id(p): p.grad.nbytes for p in parameters if p.grad is not None}
            gradients["most"] = max(gradients.get("most", 0), sum(now.values()))  # type: ignore[call-overload]

        hooks = [p.register_post_accumulate_grad_hook(note) for p in parameters if p.is_leaf and p.requires_grad]
        step(self, batches)
        for hook in hooks:
            hook.remove()
        state = sum(v.nbytes for s in self.optimizer.state.values() for v in s.values() if hasattr(v, "nbytes"))
        most[0] = max(most[0], state + gradients.get("most", 0))  # type: ignore[call-overload]

    Loop._step = watched  # type: ignore[method-assign]
    few = SETTINGS.get(key, {}).get("selection_steps", 0) + 6
    with tracker:
        train(folder, key, few, rate, "counted", evaluate=False)
    Loop._step = step  # type: ignore[method-assign]
    return {"peak": tracker.peak_bytes, "training": most[0]}


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
