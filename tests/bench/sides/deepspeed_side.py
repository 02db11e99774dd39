"""DeepSpeed ZeRO-Infinity on NVMe with the CPU accelerator: full fine-tuning of the same model on the same rows.

Run by the peer's own Python (see peers/deepspeed.txt). Prints one JSON object with the figures that `streamed.py` gives
for ours, as far as they can be measured from outside.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.sides.memory_peak import Peak, anonymous, most_resident
from tests.bench.sides.products import quicken
from tests.bench.sides.tokens import token_rows

RATE = 1e-4


def main() -> None:
    """Run what the JSON argument says."""
    for name, value in {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_PORT": 29511}.items():
        os.environ.setdefault(name, str(value))
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    print(json.dumps(run(json.loads(sys.argv[1]))), flush=True)


def run(wanted: dict[str, Any]) -> dict[str, Any]:
    """Some steps of one row each."""
    import deepspeed
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.integrations import HfDeepSpeedConfig

    quicken()
    deepspeed.init_distributed("gloo")
    settings = config(Path(wanted["folder"]), wanted["setting"])
    idle = anonymous()
    with Peak() as peak:
        kept = HfDeepSpeedConfig(settings)
        model = AutoModelForCausalLM.from_pretrained(wanted["model"], dtype=torch.bfloat16)
        if wanted["setting"].get("recompute"):
            model.gradient_checkpointing_enable({"use_reentrant": False})
        engine, *_ = deepspeed.initialize(model=model, config=settings)
        found = steps(engine, wanted)
        del kept
    return {**found, "idle": idle, "peak": peak.bytes - idle, "rss": most_resident()}


def steps(engine: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Losses, seconds, and the bytes of all steps but the first, each as the system counts them."""
    import torch

    losses, seconds, before = [], [], (0, 0)
    source = token_rows(1, wanted["length"], wanted["vocabulary"])
    for number in range(wanted["steps"]):
        ids = torch.from_numpy(next(source))
        if number == 1:
            before = moved()
        begun = time.perf_counter()
        logits = engine(input_ids=ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1].float(), ids[0, 1:])
        engine.backward(loss)
        engine.step()
        seconds.append(time.perf_counter() - begun)
        losses.append(float(loss))
    after = moved()
    return {
        "losses": losses,
        "seconds": seconds,
        "system_read": after[0] - before[0],
        "system_written": after[1] - before[1],
    }


def config(folder: Path, setting: dict[str, Any]) -> dict[str, Any]:
    """ZeRO-3 with everything on the drive; `setting` is what a person would tune."""
    nvme = {"device": "nvme", "nvme_path": str(folder), "pin_memory": False}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "bf16": {"enabled": True},
        "gradient_clipping": 1.0,
        "optimizer": {"type": "AdamW", "params": {"lr": RATE, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}},
        "zero_optimization": {
            "stage": 3,
            "sub_group_size": int(setting["sub_group"]),
            "stage3_max_live_parameters": int(setting.get("live", 1e7)),
            "stage3_prefetch_bucket_size": int(setting.get("prefetch", 1e7)),
            "stage3_max_reuse_distance": int(setting.get("reuse", 0)),
            "stage3_param_persistence_threshold": int(1e5),
            "offload_optimizer": {**nvme, "buffer_count": 4, **setting.get("optimizer", {})},
            "offload_param": {
                **nvme,
                "buffer_count": setting.get("buffers", 5),
                "buffer_size": int(setting.get("buffer", 1e7)),
                "max_in_cpu": 0,
            },
        },
        "aio": {
            "block_size": 1 << 20,
            "queue_depth": 8,
            "single_submit": False,
            "overlap_events": True,
            **setting.get("aio", {}),
        },
        "steps_per_print": 1 << 30,
    }


def moved() -> tuple[int, int]:
    """(read, written) bytes of this process that reached the drive."""
    values = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(values["read_bytes"]), int(values["write_bytes"])


if __name__ == "__main__":
    main()
