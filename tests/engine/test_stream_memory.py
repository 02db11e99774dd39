"""A streamed run's memory is that of its largest layer, however many there are; measured in processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import offload, streamed_memory
from tests.helpers.toy_models import make_toy

pytestmark = pytest.mark.slow


def test_memory_does_not_grow_with_the_number_of_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the layers; what is allowed beyond is well below what the twelve more would take in 16 bits."""
    sizes = {f"l{layers}": (layers, 512, 1408, 8, 4, 4000) for layers in (4, 16)}
    monkeypatch.setattr(offload, "SIZES", {**offload.SIZES, **sizes})
    monkeypatch.setattr(offload, "LENGTH", 64)
    few, many = (offload.side(tmp_path, size, offload.streamed("E"), steps=2, precision="fp32") for size in sizes)
    layer = 2 * (2 * 512 * 512 + 2 * 256 * 512 + 3 * 512 * 1408)
    assert many["peak"] - few["peak"] <= 0.6 * 12 * layer


@pytest.mark.parametrize(
    ("scheme", "family", "precision", "writes", "length", "clipping"),
    [
        ("C", "llama", "bf16", None, 64, "previous"),
        ("E", "llama", "bf16", None, 64, "previous"),
        ("E", "llama", "bf16", None, 512, "previous"),
        ("E", "llama", "bf16", None, 64, "layer"),
        ("I", "llama", "bf16", None, 64, "previous"),
        ("E", "llama", "fp32", 300e6, 64, "previous"),
        ("E", "qwen3_moe", "bf16", None, 64, "previous"),
        ("E", "qwen3_moe", "bf16", 300e6, 64, "previous"),
        ("E", "qwen3_moe", "fp32", 300e6, 64, "previous"),
    ],
)
def test_memory_is_what_the_forecast_says(
    scheme: str,
    family: str,
    precision: str,
    writes: float | None,
    length: int,
    clipping: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never more than 5 % too little; at most 20 % too much, since a quick drive has less under way.

    `writes`: bytes a second that the drive is held to, or None.
    """
    monkeypatch.setitem(offload.SIZES, "wide", (4, 1024, 2816, 16, 8, 12000))
    if family == "qwen3_moe":
        experts = {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 512, "head_dim": 64}
        sizes = {"hidden_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 16, "num_key_value_heads": 8}
        make_toy(tmp_path / "wide", family, vocab_size=12000, dtype="bfloat16", **experts, **sizes)
    method = {**offload.streamed(scheme), "clipping": clipping}
    said, taken = streamed_memory.cell(tmp_path, "wide", method, length, precision, writes)
    assert 0.95 * taken <= said <= 1.2 * taken


def test_bytes_are_those_of_the_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own counts within 2 %, and the system's say the same where the page cache is passed by."""
    monkeypatch.setattr(offload, "LENGTH", 32)
    monkeypatch.setitem(offload.SIZES, "deep", (12, 512, 1408, 8, 4, 1000))
    found = offload.side(tmp_path, "deep", offload.streamed("D"), steps=3)
    moved = sum(offload.passed(found))
    assert moved == pytest.approx(found["numbers"] * (6 + 2 * 6), rel=0.02)
    several = offload.side(tmp_path, "deep", offload.streamed("D"), steps=3, accumulation=3)
    assert sum(offload.passed(several)) == pytest.approx(moved, rel=0.003)
    if found["direct"]:
        assert found["system_written"] == pytest.approx(found["written"], rel=0.1)
