"""Tunesmith's loop on given token rows, through the same classes as a real run."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import mkdtemp


def main() -> None:
    """Train and print losses, grad norms and tokens per second of the steady part."""
    job = json.loads(sys.argv[1])
    begun = time.perf_counter()
    import torch

    from studio.engine import lm_loss
    from studio.engine.checkpoint import Checkpoints
    from studio.engine.device import make_accelerator
    from studio.engine.loop import Loop, Plan
    from studio.engine.memory import MemorySampler
    from studio.engine.prepared import Base
    from studio.methods.lora import METHOD, LoraParams
    from studio.models.facts import read_facts
    from studio.protocol import events
    from studio.spec.run_spec import RunSpec
    from tests.bench.packs import batches_of

    torch.set_num_threads(job["threads"])
    if not job.get("light", True):
        lm_loss.lighten = lambda model: None
    precision = job.get("precision", "fp32")
    params = LoraParams(rank=8, alpha=16, rank_stabilised=False, **job.get("method", {}))
    spec = RunSpec.model_validate(
        {
            "model": {"source": job["model"]},
            "data": {"path": job["rows"]},
            "method": params,
            "train": {
                "steps": job["steps"],
                "batch_size": job["batch_size"],
                "accumulation": job.get("accumulation", 1),
                "max_length": job["max_length"],
                "packing": job["packing"],
                "shuffle": False,
                "precision": precision,
                "learning_rate": job["learning_rate"],
                "schedule": "constant",
                "warmup": 0,
                "checkpoint_minutes": 0,
                "eval_every": 10**6,
            },
        }
    )
    accelerator = make_accelerator("cpu", precision)
    base = Base(Path(job["model"]), "bench", accelerator.device, precision, 0, False)
    prepared = METHOD.prepare(base, params)
    steps: list[tuple[float, events.Step]] = []

    def hear(event: events.Event) -> None:
        if isinstance(event, events.Step):
            steps.append((time.perf_counter(), event))

    plan = Plan(
        spec=spec,
        prepared=prepared,
        loss=lm_loss.LmLoss(prepared.model, lambda nll: nll),
        batches=batches_of(job).iterate,
        heldout=[],
        total_steps=job["steps"],
        checkpoints=Checkpoints(Path(mkdtemp()), keep=1),
        samples=list,
        memory=MemorySampler(hear, baseline_ram=0),
        facts=read_facts(Path(job["model"])),
    )
    Loop(plan, accelerator, hear, list).run()
    skip = job["steps"] // 5
    tokens = sum(step.tokens for _, step in steps[skip:])
    figures = {
        "losses": [step.loss for _, step in steps],
        "norms": [step.grad_norm for _, step in steps],
        "tokens_per_second": tokens / (steps[-1][0] - steps[skip - 1][0]),
        "first_step_seconds": steps[0][0] - begun,
        "wall_seconds": time.perf_counter() - begun,
        "layout": plan.loss.layout,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
