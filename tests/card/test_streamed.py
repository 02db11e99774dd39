"""Streamed runs on a card: copies come late, and buffers are read and written only when they may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.engine.stream import fused_update
from tests.helpers.small_run import losses, make_run, train_here, write_sums
from tests.helpers.toy_models import make_toy

_OFFLOAD: dict[str, Any] = {"key": "ssd_offload"}
_CASES: dict[str, dict[str, Any]] = {
    **{f"scheme {key}": {**_OFFLOAD, "scheme": key} for key in "CDEFI"},
    **{f"inputs in {place}": {**_OFFLOAD, "layer_inputs": place} for place in ("device", "ram", "drive")},
    **{f"clipping {way}": {**_OFFLOAD, "clipping": way} for way in ("exact", "previous", "layer")},
    "drawn": {**_OFFLOAD, "learners": "drawn"},
    "turns": {**_OFFLOAD, "learners": "turns"},
    "lora": {"key": "lora", "placement": "drive"},
    "lora, dropout": {"key": "lora", "placement": "drive", "dropout": 0.1},
    "lora, inputs in ram": {"key": "lora", "placement": "drive", "layer_inputs": "ram"},
    "qlora": {"key": "qlora", "placement": "drive"},
    "layers in memory": {**_OFFLOAD, "cache_gb": 1},
}


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2e-4), ("bf16", 0.1)])
@pytest.mark.parametrize("case", _CASES)
def test_trains_as_on_the_processor(
    case: str, precision: str, tolerance: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "scheme I":  # all of its weight is what is rounded at random, compiled by other numbers than by torch
        monkeypatch.setattr(fused_update, "library", lambda: None)
    make_toy(tmp_path / "llama", num_hidden_layers=5)  # so many that buffers are used again within a pass
    expected, found = _both(_CASES[case], precision, tmp_path, "llama")
    assert found == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("placement", ["memory", "drive"])
@pytest.mark.parametrize("key", ["lora", "qlora", "ssd_offload"])
def test_a_mixture_trains_as_on_the_processor(key: str, placement: str, tmp_path: Path) -> None:
    make_toy(tmp_path / "qwen3_moe", "qwen3_moe", num_hidden_layers=4)
    where = {"placement": placement} if key != "ssd_offload" else {"cache_gb": int(placement == "memory")}
    expected, found = _both({"key": key, **where}, "fp32", tmp_path, "qwen3_moe")
    assert found == pytest.approx(expected, abs=2e-4)


def _both(method: dict[str, Any], precision: str, tmp_path: Path, family: str) -> list[list[float]]:
    """Losses on the processor and on the card."""
    write_sums(tmp_path / "rows.jsonl")
    runs = {
        device: make_run(
            tmp_path,
            family=family,
            method={"cache_gb": 0, **method},
            name=device,
            device=device,
            precision=precision,
            steps=4,
            accumulation=2,
        )
        for device in ("cpu", "cuda")
    }
    return [losses(train_here(run)) for run in runs.values()]
