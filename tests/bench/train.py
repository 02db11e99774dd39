"""Tokens per second, losses and start-up against TRL, on the same model, rows, order and settings.

Run: `python -m tests.bench.train [--steps 50] [--repeats 3] [--models tiny2,m100]`. TRL is installed once into a cache
folder of its own (it is no dependency of the program). Contestants take turns, each in its own process, one thread.
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

from studio.paths import cache_dir
from tests.bench.fixtures import make_model, make_rows
from tests.bench.packs import write_packs

TRL = "trl==1.16.0"
ROOT = Path(__file__).resolve().parents[2]
CASES: dict[str, dict[str, Any]] = {
    "even rows": {"rows": "even", "packing": False},
    "uneven packed": {"rows": "uneven", "packing": True},
    "long prompts": {"rows": "prompts", "packing": False},
}
BATCH = {"tiny2": 4, "m100": 2}


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", default="tiny2,m100")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of both sides' weights")
    parser.add_argument("--cases", default=",".join(CASES))
    options = parser.parse_args()
    install_trl()
    with tempfile.TemporaryDirectory() as folder:
        for size in options.models.split(","):
            for case in options.cases.split(","):
                compare(Path(folder), size, case, options)


def install_trl() -> Path:
    """TRL alone (its dependencies are ours), into a cache folder."""
    target = cache_dir() / "bench" / TRL
    if not target.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), TRL]
        subprocess.run(pip, check=True)
    return target


def compare(folder: Path, size: str, case: str, options: argparse.Namespace) -> None:
    """One model and one kind of rows: both sides in turns, then a table."""
    model = make_model(cache_dir() / "bench" / size, size)
    packing, steps = CASES[case]["packing"], options.steps
    count = steps * BATCH[size] * (8 if packing else 1)
    rows = make_rows(folder / f"{size}-{case}.jsonl", CASES[case]["rows"], count=count)
    job = {
        "model": str(model),
        "rows": str(rows),
        "steps": steps,
        "batch_size": BATCH[size],
        "max_length": 256,
        "packing": packing,
        "precision": options.precision,
        "learning_rate": 1e-3,
        "threads": 1,
        "out": str(folder / "out"),
    }
    sides: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": []}
    for _ in range(options.repeats):
        for side, found in sides.items():
            found.append(run_side(side, job))
    report(size, case, sides)
    if packing:  # TRL packs in another order, so the loss curve is compared on ready packs
        packs = write_packs(job, folder / "packs.jsonl", steps)
        ours, trl = run_side("ours", job), run_side("trl", {**job, "rows": str(packs), "packs": True})
    else:
        ours, trl = sides["ours"][0], sides["trl"][0]
    gap = max(abs(a - b) for a, b in zip(ours["losses"], trl["losses"], strict=True))
    norm = max(abs(a - b) / max(b, 1e-9) for a, b in zip(ours["norms"], trl["norms"], strict=True))
    Console().print(f"  largest loss difference over {steps} steps: {gap:.2e}; gradient norm, relative: {norm:.2e}\n")


def run_side(side: str, job: dict[str, Any]) -> dict[str, Any]:
    """One contestant in a process of its own."""
    path = os.pathsep.join([str(ROOT), *([str(install_trl())] if side == "trl" else [])])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": str(job["threads"]),
        "HF_HUB_OFFLINE": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
    command = [sys.executable, "-m", f"tests.bench.sides.{side}", json.dumps(job)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def report(size: str, case: str, sides: dict[str, list[dict[str, Any]]]) -> None:
    """Median (least - most) of each figure, and the ratio of medians."""
    table = Table("figure", "ours", "TRL", "ratio", title=f"{size}, {case}", title_justify="left")
    for key, unit in (("tokens_per_second", "tokens/s"), ("first_step_seconds", "s to first step")):
        ours, trl = ([float(figures[key]) for figures in sides[side]] for side in ("ours", "trl"))
        ratio = statistics.median(ours) / statistics.median(trl)
        table.add_row(unit, _span(ours), _span(trl), f"{ratio:.2f}x")
    Console().print(table)


def _span(values: list[float]) -> str:
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} - {max(values):,.1f})"


if __name__ == "__main__":
    main()
