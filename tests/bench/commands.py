"""The whole command, from start to 50 finished steps, against LLaMA-Factory's and Axolotl's: same model, rows in the
same order, and settings.

Run: `python -m tests.bench.commands [--repeats 3] [--against llamafactory axolotl] [--environments FOLDER]`. A peer is
set up once in a virtual environment of its own (2 GB, minutes), in the cache folder or the one named.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from studio.paths import cache_dir
from tests.helpers.small_run import write_sums
from tests.helpers.toy_models import make_toy

ROOT = Path(__file__).resolve().parents[2]
STEPS, BATCH, LENGTH, RATE = 50, 4, 256, 1e-3


def main() -> None:
    """Set up, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--against", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--environments", type=Path, default=cache_dir() / "bench" / "peers")
    options = parser.parse_args()
    sides: dict[str, Callable[[Path, Path], list[str]]] = {"Tunesmith": ours}
    for peer in options.against:
        name, command = PEERS[peer]
        sides[name] = partial(command, set_up(peer, options.environments / peer))
    times: dict[str, list[float]] = {name: [] for name in sides}
    curves: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_toy(folder / "model", hidden_size=256, intermediate_size=768)
        write_sums(folder / "rows.jsonl", count=400)
        for number in range(options.repeats):
            for side, command in sides.items():
                out = folder / f"{side}-{number}"
                times[side].append(timed(command(folder, out), folder))
                curves[side] = losses(out)
                assert len(curves[side]) == STEPS, f"{side} took {len(curves[side])} steps"
    report(times, curves)


def set_up(name: str, target: Path) -> Path:
    """A virtual environment with the peer, made once."""
    python = target / "bin" / "python"
    listed = ["-r", str(Path(__file__).parent / "peers" / f"{name}.txt")]
    if not python.is_file():
        venv.create(target, with_pip=True)
        for step in (
            ["install", "-q", "torch==2.13.0"],
            ["install", "-q", *(["--no-deps"] if name == "axolotl" else []), *listed],  # Axolotl's list names all
            ["uninstall", "-q", "-y", "torchvision", "torchaudio"],
        ):
            subprocess.run([str(python), "-m", "pip", *step], check=True)
    return python


def ours(folder: Path, out: Path) -> list[str]:
    """`tunesmith train` as a person would call it: the run is a process of its own, followed to its end."""
    from studio.cli import run

    settings = {
        "method.rank": 8,
        "method.alpha": 16,
        "method.rank_stabilised": "false",
        "data.holdout": 0,
        "train.steps": STEPS,
        "train.batch_size": BATCH,
        "train.max_length": LENGTH,
        "train.learning_rate": RATE,
        "train.schedule": "constant",
        "train.warmup": 0,
        "train.shuffle": "false",
        "train.precision": "fp32",
        "train.samples": 0,
    }
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    code = run(["init", str(out), "--model", str(folder / "model"), "--data", str(folder / "rows.jsonl"), *pairs])
    assert code == 0
    return [sys.executable, "-m", "studio", "train", str(out)]


def llamafactory(python: Path, folder: Path, out: Path) -> list[str]:
    """`llamafactory-cli train` with the settings that mean the same."""
    entry = {
        "file_name": str(folder / "rows.jsonl"),
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
    (folder / "dataset_info.json").write_text(json.dumps({"sums": entry}))
    config = {
        "model_name_or_path": str(folder / "model"),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 8,
        "lora_alpha": 16,
        "lora_target": "all",
        "dataset": "sums",
        "dataset_dir": str(folder),
        "template": "chatml",
        "cutoff_len": LENGTH,
        "output_dir": str(out),
        "per_device_train_batch_size": BATCH,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "max_steps": STEPS,
        "logging_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "overwrite_output_dir": True,
        "preprocessing_num_workers": None,
        "disable_shuffling": True,
    }
    path = out.with_suffix(".yaml")
    path.write_text(json.dumps(config))  # JSON is YAML
    return [str(python), "-m", "llamafactory.cli", "train", str(path)]


def axolotl(python: Path, folder: Path, out: Path) -> list[str]:
    """`axolotl train` with the settings that mean the same; where its own would be slower here, with faster ones."""
    config = {
        "base_model": str(folder / "model"),
        "adapter": "lora",
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "lora_target_linear": True,
        **dict.fromkeys((f"lora_{part}_kernel" for part in ("mlp", "qkv", "o", "embedding")), False),  # for cards only
        "datasets": [{"path": str(folder / "rows.jsonl"), "ds_type": "json", "type": "chat_template"}],
        "streaming": True,  # else it starts a process more, to write the rows down
        "val_set_size": 0.0,
        "sequence_len": LENGTH,
        "output_dir": str(out),
        "micro_batch_size": BATCH,
        "gradient_accumulation_steps": 1,
        "max_steps": STEPS,
        "learning_rate": RATE,
        "lr_scheduler": "constant",
        "warmup_steps": 0,
        "optimizer": "adamw_torch",
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "logging_steps": 1,
        "bf16": False,
        "fp16": False,
        "tf32": False,
        "gradient_checkpointing": False,
        "attn_implementation": "sdpa",
        "shuffle_merged_datasets": False,
        "pad_to_multiple_of": 8,  # 64 of its own accord
        "include_tkps": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
    }
    path = out.with_suffix(".yaml")
    path.write_text(json.dumps(config))
    return [str(python.parent / "axolotl"), "train", str(path), "--launcher", "python"]


PEERS = {"llamafactory": ("LLaMA-Factory", llamafactory), "axolotl": ("Axolotl", axolotl)}


def timed(command: list[str], folder: Path) -> float:
    """Seconds of wall time, with nothing kept from a run before."""
    stub = folder / "stub" / "torchaudio"  # LLaMA-Factory imports it; there is no CPU build
    stub.mkdir(parents=True, exist_ok=True)
    (stub / "__init__.py").touch()
    home = tempfile.mkdtemp(dir=folder)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(stub.parent)]),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TUNESMITH_HOME": home,
        "HF_HOME": home,
        "HF_HUB_OFFLINE": "1",
        "AXOLOTL_DO_NOT_TRACK": "1",
    }
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    wall = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{command[:4]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return wall


def losses(out: Path) -> list[float]:
    """Each step's, as the run itself wrote them down: ours in its journal, a peer's in its trainer's state."""
    for journal in out.glob("runs/*/events.jsonl"):
        told = [json.loads(line) for line in journal.read_text().splitlines()]
        return [event["loss"] for event in told if event["type"] == "step"]
    state = json.loads(next(out.rglob("trainer_state.json")).read_text())
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


def report(times: dict[str, list[float]], curves: dict[str, list[float]]) -> None:
    """Median (least - most) seconds, our ratio to each peer, and the losses, which tell that all learned the same."""
    table = Table(
        *("", "seconds", "ours to it", "first loss", "last ten"),
        title=f"Whole command, {STEPS} LoRA steps from a cold start",
        title_justify="left",
    )
    mine = statistics.median(times["Tunesmith"])
    for name, seconds in times.items():
        middle, curve = statistics.median(seconds), curves[name]
        wall = f"{middle:.1f} ({min(seconds):.1f} - {max(seconds):.1f})"
        table.add_row(name, wall, f"{mine / middle:.2f}x", f"{curve[0]:.4f}", f"{statistics.mean(curve[-10:]):.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
