"""Adapters and what they adapt as one function against peft's own layers: `python -m tests.bench.adapters`.

Two real steps on a random Llama (a Qwen3 with 32 experts for theirs), the same rows. Prints tracked bytes at the
fullest moment, and one JSON line a case. Time is told by `tests.bench.train`.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table

from studio.engine.probe import Probe, measure
from studio.models.facts import ModelFacts, read_facts
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


def main() -> None:
    warnings.filterwarnings("ignore")
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
        for own in () if is_ours else ("fuse", "sum_again"):
            stack.enter_context(patch(f"studio.engine.adapters.{own}", lambda model: None))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(QuickProducts())
        return sum(measure(Probe(draft, facts, TOKENS, TOKENS), "cpu").values())


if __name__ == "__main__":
    main()
