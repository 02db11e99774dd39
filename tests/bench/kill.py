"""kill -9 at random moments of a run, resumed each time, against a run that nobody touched.

Run: `python -m tests.bench.kill [--kills 20] [--steps 200] [--streamed]`. One kill in five falls into start-up, the
others into training, evaluation or the writing of a checkpoint. The last lines say whether each step's loss, however
often it was made, and the results are bit-equal. `--streamed`: full fine-tuning from the drive in place of LoRA.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from pathlib import Path

from rich.console import Console

from studio.project.journal import EventReader
from studio.project.runs import Run
from studio.protocol import events
from tests.helpers.small_run import losses, make_run, result_tensors, start_worker, train_here


def main() -> None:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--streamed", action="store_true")
    options = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as name:
        folder, draw = Path(name), random.Random(options.seed)
        settings = {"steps": options.steps, "checkpoint_every": 3, "eval_every": 10, "samples": 1}
        method = {"key": "lora", "dropout": 0.1}  # dropout draws random numbers, so their state must come back too
        if options.streamed:
            method = {"key": "ssd_offload", "scheme": "E", "cache_gb": 0}
        straight = make_run(folder, name="straight", method=method, **settings)
        expected = dict(enumerate(losses(train_here(straight)), start=1))
        killed = make_run(folder, name="killed", method=method, **settings)
        for number in range(options.kills):
            kill_once(killed, draw, resume=number > 0)
            state = killed.state()
            console.print(
                f"kill {number + 1:2}: {state.status} at step {state.step}, checkpoints {killed.checkpoints()}"
            )
        code = start_worker(killed, resume=True).wait()
        console.print(f"last resume: exit code {code}, {killed.state().status} at step {killed.state().step}")
        made = [event for event in EventReader(killed.events_path).poll() if isinstance(event, events.Step)]
        same = sum(event.loss == expected[event.step] for event in made)
        console.print(f"steps made, some of them again: {len(made)}, losses bit-equal: {same}")
        console.print("weights bit-equal to the untouched run:", is_equal(straight, killed))


def kill_once(run: Run, draw: random.Random, *, resume: bool) -> None:
    """Start a worker and kill it at a random moment."""
    reader = EventReader(run.events_path, run.events_path.stat().st_size if run.events_path.exists() else 0)
    steps = 0 if draw.random() < 0.2 else draw.randint(1, 15)
    worker, seen, heard = start_worker(run, resume=resume), 0, 0
    while worker.poll() is None and (seen < steps or not heard):
        found = reader.poll()
        heard += len(found)
        seen += sum(isinstance(event, events.Step) for event in found)
        time.sleep(0.002)
    time.sleep(draw.uniform(0.0, 0.1 if steps else 3.0))
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def is_equal(one: Run, other: Run) -> bool:
    """Whether the results hold the same bits."""
    import torch

    a, b = result_tensors(one), result_tensors(other)
    return bool(a) and a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


if __name__ == "__main__":
    main()
