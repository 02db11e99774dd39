"""TRL's SFTTrainer on given token rows, in its best settings for a plain CPU run."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Train and print losses, grad norms and tokens per second of the steady part."""
    job = json.loads(sys.argv[1])
    begun = time.perf_counter()
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from tests.bench.fixtures import read_rows
    from tests.bench.sides.tokenizer import plain_tokenizer

    torch.set_num_threads(job["threads"])
    rows = read_rows(Path(job["rows"]))
    data = Dataset.from_dict({"input_ids": [r["ids"] for r in rows], "labels": [r["labels"] for r in rows]})
    kwargs: dict = {"max_length": job["max_length"], "dataset_kwargs": {"skip_prepare_dataset": True}}
    if job.get("packs"):  # rows are given as ready packs: only the order and the borders are taken over
        data = data.add_column("seq_lengths", [r["seq_lengths"] for r in rows])
        kwargs |= {"padding_free": True, "max_length": None}
    elif job["packing"]:
        kwargs = {"max_length": job["max_length"], "packing": True, "packing_strategy": "bfd"}
    config = SFTConfig(
        output_dir=job["out"],
        max_steps=job["steps"],
        per_device_train_batch_size=job["batch_size"],
        gradient_accumulation_steps=job.get("accumulation", 1),
        learning_rate=job["learning_rate"],
        weight_decay=0.0,
        lr_scheduler_type="constant",
        warmup_steps=0,
        train_sampling_strategy="sequential",
        use_cpu=True,
        bf16=job.get("precision") == "bf16",
        gradient_checkpointing=False,
        seed=0,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        **kwargs,
    )
    stamps: list[float] = []

    class Stamp(TrainerCallback):
        def on_step_begin(self, *_: object, **__: object) -> None:
            stamps.append(time.perf_counter())

        def on_step_end(self, *_: object, **__: object) -> None:
            ends.append(time.perf_counter())

    ends: list[float] = []
    dtype = torch.bfloat16 if job.get("precision") == "bf16" else torch.float32
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype, attn_implementation="sdpa")
    tokenizer: PreTrainedTokenizerFast = plain_tokenizer()
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM")
    torch.manual_seed(0)
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=data, processing_class=tokenizer, peft_config=lora, callbacks=[Stamp()]
    )
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    tokens = [entry["num_tokens"] for entry in logs if "num_tokens" in entry]
    skip = job["steps"] // 5
    steady = (tokens[-1] - tokens[skip - 1]) / (ends[-1] - stamps[skip]) if len(tokens) == job["steps"] else 0.0
    figures = {
        "losses": [entry["loss"] for entry in logs],
        "norms": [entry.get("grad_norm") for entry in logs],
        "tokens_per_second": steady,
        "first_step_seconds": ends[0] - begun,
        "wall_seconds": time.perf_counter() - begun,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
