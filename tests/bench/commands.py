"""The whole command, from start to 50 finished steps, against LLaMA-Factory's: same model, rows and settings.

Run: `python -m tests.bench.commands [--repeats 3] [--python PYTHON_OF_THE_PEER]`. Without `--python` the peer is set
up once in a virtual environment of its own (2 GB, minutes), in the cache folder.
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
    parser.add_argument("--python", type=Path)
    options = parser.parse_args()
    peer = options.python or set_up("llamafactory")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_toy(folder / "model", hidden_size=256, intermediate_size=768)
        write_sums(folder / "rows.jsonl", count=400)
        found: dict[str, list[float]] = {"Tunesmith": [], "LLaMA-Factory": []}
        for number in range(options.repeats):
            found["Tunesmith"].append(timed(ours(folder, number), folder))
            found["LLaMA-Factory"].append(timed(llamafactory(folder, peer, number), folder))
    report(found)


def set_up(name: str) -> Path:
    """A virtual environment with the peer, made once."""
    target = cache_dir() / "bench" / "peers" / name
    python = target / "bin" / "python"
    if not python.is_file():
        venv.create(target, with_pip=True)
        for step in (
            ["install", "-q", "torch==2.13.0"],
            ["install", "-q", "-r", str(Path(__file__).parent / "peers" / f"{name}.txt")],
            ["uninstall", "-q", "-y", "torchvision", "torchaudio"],
        ):
            subprocess.run([str(python), "-m", "pip", *step], check=True)
    return python


def ours(folder: Path, number: int) -> list[str]:
    """`tunesmith train` as a person would call it: the run is a process of its own, followed to its end."""
    from studio.cli import run

    project = folder / f"ours-{number}"
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
        "train.precision": "fp32",
        "train.samples": 0,
    }
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    code = run(["init", str(project), "--model", str(folder / "model"), "--data", str(folder / "rows.jsonl"), *pairs])
    assert code == 0
    return [sys.executable, "-m", "studio", "train", str(project)]


def llamafactory(folder: Path, python: Path, number: int) -> list[str]:
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
        "output_dir": str(folder / f"lf-{number}"),
        "per_device_train_batch_size": BATCH,
        "learning_rate": RATE,
        "lr_scheduler_type": "constant",
        "max_steps": STEPS,
        "logging_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "overwrite_output_dir": True,
        "preprocessing_num_workers": None,
    }
    path = folder / f"lf-{number}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return [str(python), "-m", "llamafactory.cli", "train", str(path)]


def timed(command: list[str], folder: Path) -> float:
    """Seconds of wall time."""
    stub = folder / "stub" / "torchaudio"  # LLaMA-Factory imports it; there is no CPU build
    stub.mkdir(parents=True, exist_ok=True)
    (stub / "__init__.py").touch()
    path = os.pathsep.join([str(ROOT), str(stub.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    wall = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{command[:4]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return wall


def report(found: dict[str, list[float]]) -> None:
    """Median (least - most) seconds, and the ratio."""
    table = Table("", "whole command, s", title=f"{STEPS} LoRA steps from a cold start", title_justify="left")
    for name, times in found.items():
        table.add_row(name, f"{statistics.median(times):.1f} ({min(times):.1f} - {max(times):.1f})")
    Console().print(table)
    ratio = statistics.median(found["Tunesmith"]) / statistics.median(found["LLaMA-Factory"])
    Console().print(f"ratio {ratio:.2f}x")


if __name__ == "__main__":
    main()
