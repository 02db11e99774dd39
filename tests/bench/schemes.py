"""What shorter state costs in quality: the starter with each scheme over some seeds, against full AdamW in memory.

Run: `python -m tests.bench.schemes [--seeds 5] [--steps 60] [--schemes CDEF]`. The seed chooses the order of rows. A
scheme is as good as memory where its mean held-out loss lies within twice the standard error of their difference, seed
by seed.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

from studio.models.fingerprint import fingerprint
from studio.paths import resources_dir
from studio.project.runs import Run
from studio.protocol import events
from studio.spec.run_spec import RunSpec
from tests.bench.offload import tell
from tests.helpers.small_run import train_here

RATE = 1e-3


def main() -> None:
    """Memory and all schemes for one seed, then the next seed."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--schemes", default="CDEF")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {name: [] for name in ["memory", *options.schemes]}
    for seed in range(options.seeds):
        for name, losses in found.items():
            losses.append(final_loss(name, seed, options.steps))
        tell("seed", seed=seed, **{name: losses[-1] for name, losses in found.items()})
    for name in options.schemes:
        tell(f"O5 quality {name}", steps=options.steps, seeds=options.seeds, **judge(found[name], found["memory"]))


def judge(losses: list[float], memory: list[float]) -> dict[str, Any]:
    """Means, the difference seed by seed, and whether it is told from nothing."""
    gaps = [a - b for a, b in zip(losses, memory, strict=True)]
    noise = 2 * statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.inf
    gap = statistics.mean(gaps)
    return {
        "loss": statistics.mean(losses),
        "memory": statistics.mean(memory),
        "spread_of_seeds": statistics.stdev(memory) if len(memory) > 1 else 0.0,
        "gap": gap,
        "twice_its_error": noise,
        "is_within": abs(gap) <= noise,
    }


def final_loss(name: str, seed: int, steps: int) -> float:
    """Held-out loss at the end of a run in a folder of its own; clipped exactly, as in memory."""
    streamed = {"key": "ssd_offload", "scheme": name, "cache_gb": 0, "clipping": "exact"}
    method = {"key": "full"} if name == "memory" else streamed
    starter = resources_dir() / "starter"
    values = {
        "model": {"source": str(starter / "model")},
        "data": {"path": str(starter / "data" / "voice.jsonl"), "holdout": 0.15},
        "method": method,
        "train": {
            "steps": steps,
            "batch_size": 4,
            "max_length": 256,
            "learning_rate": RATE,
            "samples": 0,
            "eval_every": steps,
            "checkpoint_minutes": 0,
            "precision": "fp32",
            "device": "cpu",
            "seed": seed,
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        spec = RunSpec.model_validate(values)
        run = Run.create(Path(folder), spec, "run", fingerprints={"model": fingerprint(starter / "model")})
        heard = train_here(run)
    return [event for event in heard if isinstance(event, events.Eval)][-1].loss


if __name__ == "__main__":
    main()
