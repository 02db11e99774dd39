"""The planner's errors that are kept beside the bench: within what was promised, and no cell has grown since."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.memory import BASELINE, is_worse, toy_facts, tracked_cell

KEPT = json.loads(BASELINE.read_text(encoding="utf-8"))
# One cell each: the bench measures all.
CELLS = [("llama", "lora"), ("llama", "qlora"), ("qwen3", "full"), ("qwen3", "galore"), ("gemma3", "lisa")]
CELLS += [("qwen3_moe", "galore"), ("qwen3_moe", "hft"), ("deepseek_v3", "lora"), ("deepseek_v3", "mezo")]


@pytest.mark.parametrize("part", ["tracked", "mixtures", "process"])
def test_what_is_kept_is_within_the_promise(part: str) -> None:
    found = KEPT[part]
    assert found["median"] <= 0.05 and found["worst"] <= 0.12 and found["lowest"] >= -0.05
    assert all(found["median"] < peer["median"] for peer in KEPT["peers"].values())


@pytest.mark.parametrize(("family", "method"), CELLS)
def test_no_cell_has_grown(family: str, method: str, tmp_path: Path) -> None:
    """`python -m tests.bench.memory` names all that have; `--keep` accepts them, for a reason."""
    cell = tracked_cell(toy_facts(tmp_path, family), family, method, 64, 3)
    assert not is_worse(cell.error, KEPT["cells"][cell.name]), f"{cell.name}: {cell.error:+.1%}"
