"""Adapters on light layers against peft's on transformers' own: `python -m tests.bench.adapters [--speed]`.

Two real steps on a random Llama (a Qwen3 with 32 experts for theirs), the same rows. Prints tracked bytes at the
fullest moment, and one JSON line a case. With `--speed` instead: tokens per second with dropout and with DoRA beside
a plain adapter, and on layers that are not light, in turns. How quick that is beside TRL: `tests.bench.train`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table

from studio.engine.probe import Probe, measure
from studio.models.facts import ModelFacts, read_facts
from studio.paths import cache_dir
from tests.bench.fixtures import make_model, make_rows
from tests.bench.train import run_side
from tests.helpers.toy_models import make_toy
from tests.unit.planner.samples import spec

SIZES = {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8, "vocab_size": 8000}
EXPERTS = {**SIZES, "num_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 256}
CASES = {
    "plain": ("llama", ()),
    "inputs hidden": ("llama", ("method.dropout=0.05",)),
    "DoRA": ("llama", ("method.dora=true",)),
    "experts": ("qwen3_moe", ()),
}
TOKENS = 512


SPEEDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "inputs hidden": {"method": {"dropout": 0.05}},
    "DoRA": {"method": {"dora": True}},
    "not light": {"light": False},
}
REPEATS = 3


def main() -> None:
    """Memory, or speed."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", action="store_true")
    if parser.parse_args().speed:
        speed()
    else:
        memory()


def speed() -> None:
    """Of the kinds of adapter on 82 million numbers, each run in a process of its own."""
    found: dict[str, list[float]] = {name: [] for name in SPEEDS}
    with TemporaryDirectory() as folder:
        model = make_model(cache_dir() / "bench" / "m100", "m100")
        rows = make_rows(Path(folder) / "rows.jsonl", "even", count=20)
        job = {"model": str(model), "rows": str(rows), "steps": 10, "batch_size": 2, "max_length": 256}
        job |= {"packing": False, "learning_rate": 1e-3, "threads": 1, "out": str(Path(folder) / "out")}
        for _ in range(REPEATS):
            for name, settings in SPEEDS.items():
                found[name].append(float(run_side("ours", {**job, **settings})["tokens_per_second"]))
    table = Table("adapter", "tokens/s (of 3)", "to plain", title="speed on 82M, fp32, one thread")
    for name, each in found.items():
        ratios = [mine / plain for mine, plain in zip(each, found["plain"], strict=True)]
        table.add_row(name, f"{min(each):.0f} - {max(each):.0f}", f"{statistics.median(ratios):.2f}x")
    Console(width=100).print(table)


def memory() -> None:
    """Of every case in both precisions."""
    torch.set_num_threads(1)
    table = Table("adapter", "precision", "ours, MB", "peft's, MB", "ratio", title="memory at the fullest moment")
    with TemporaryDirectory() as folder:
        models = {
            family: read_facts(make_toy(Path(folder) / family, family, **sizes))
            for family, sizes in (("llama", SIZES), ("qwen3_moe", EXPERTS))
        }
        for precision in ("fp32", "bf16"):
            for name, (family, settings) in CASES.items():
                ours, theirs = (
                    peak(models[family], (*settings, f"train.precision={precision}"), mine) for mine in (True, False)
                )
                table.add_row(name, precision, f"{ours / 1e6:.1f}", f"{theirs / 1e6:.1f}", f"{ours / theirs:.2f}x")
                print(json.dumps({"id": f"adapter {name} {precision}", "ours": ours, "peft": theirs}))
    Console(width=100).print(table)


def peak(facts: ModelFacts, settings: tuple[str, ...], is_ours: bool) -> int:
    """Bytes at the fullest moment of two steps."""
    from tests.bench.sides.quick_products import QuickProducts

    draft = spec("method.key=lora", f"train.max_length={TOKENS}", "train.batch_size=1", *settings)
    with contextlib.ExitStack() as stack:
        for own in () if is_ours else ("adapters.fuse", "adapters.make_stacks", "lm_loss.lighten"):
            stack.enter_context(patch(f"studio.engine.{own}", lambda model, **_: None))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(QuickProducts())
        return sum(measure(Probe(draft, facts, TOKENS, TOKENS), "cpu").values())


if __name__ == "__main__":
    main()
