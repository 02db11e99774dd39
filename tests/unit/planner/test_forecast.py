"""What the planner says, on models and cards that people have."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from studio.methods import METHODS
from studio.planner.forecast import Forecast, forecast, forecast_all
from studio.planner.lengths import RowLengths
from tests.unit.planner.samples import LLAMA2_7B, LLAMA_3B, LLAMA_8B, facts, machine, spec

GIB = 2**30
CARD = machine(24_000_000_000)


def peak(config: dict[str, object], *settings: str) -> Forecast:
    return forecast(spec(*settings), facts(config), CARD)


def test_the_shapes_are_the_published_ones() -> None:
    assert facts(LLAMA_8B).shapes.total == 8_030_261_248
    assert facts(LLAMA_3B).shapes.total == 3_212_749_824
    assert facts(LLAMA2_7B).shapes.total == 6_738_415_616


def test_every_method_in_fifty_milliseconds() -> None:
    """Counted, not timed: 25,000 calls take some 10 ms on a slow core, and a folder that is walked each time shows."""
    draft, known = spec(), facts(LLAMA_8B)
    forecast_all(draft, known, CARD)
    counts = Counter[str]()
    sys.setprofile(lambda frame, event, argument: counts.update([event]))
    try:
        found = forecast_all(draft, known, CARD)
    finally:
        sys.setprofile(None)
    assert set(found) == set(METHODS.all())
    assert counts["call"] + counts["c_call"] < 25_000


def test_no_torch_and_no_qt() -> None:
    code = "import sys, studio.planner.ladder; print(sorted({'torch', 'transformers', 'PySide6'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_memory_grows_with_what_should_make_it_grow() -> None:
    base = peak(LLAMA_8B, "method.placement=memory").peak_bytes
    for bigger in ("train.max_length=2048", "train.batch_size=8", "method.rank=64", "train.precision=fp32"):
        assert peak(LLAMA_8B, "method.placement=memory", bigger).peak_bytes > base, bigger
    for smaller in ("train.activation_checkpointing=true", "method.key=qlora", "optimizer.key=adamw_8bit"):
        assert peak(LLAMA_8B, "method.placement=memory", smaller).peak_bytes < base, smaller


def test_the_parts_add_up() -> None:
    for key, said in forecast_all(spec(), facts(LLAMA_3B), CARD).items():
        assert sum(said.memory.values()) == said.peak_bytes, key
        assert min(said.memory.values()) >= 0, key
        assert said.margin_bytes == said.limit_bytes - said.peak_bytes


def test_real_rows_decide_not_the_longest_that_is_allowed() -> None:
    rows = RowLengths(1000, 200.0, ((0.5, 180), (0.9, 350), (0.99, 500), (1.0, 700)))
    known = facts(LLAMA_8B)
    short = forecast(spec("train.max_length=8192"), known, CARD, rows)
    assert short.peak_bytes == forecast(spec("train.max_length=2048"), known, CARD, rows).peak_bytes
    assert short.peak_bytes < forecast(spec("train.max_length=700"), known, CARD).peak_bytes
    assert short.steps == 714  # 950 rows, 4 a step, 3 epochs


def test_tied_embeddings_and_a_large_vocabulary_count() -> None:
    tied = facts({**LLAMA_8B, "tie_word_embeddings": True})
    assert tied.shapes.head == 0
    assert facts(LLAMA_8B).shapes.total - tied.shapes.total == 128_256 * 4096
    few = peak({**LLAMA_8B, "vocab_size": 32_000})
    assert peak(LLAMA_8B).memory["weights"] - few.memory["weights"] == 2 * 2 * (128_256 - 32_000) * 4096


def test_what_is_free_decides_the_verdict() -> None:
    known = facts(LLAMA_8B)
    draft = spec("train.batch_size=1", "train.activation_checkpointing=true", "method.placement=memory")
    verdicts = [forecast(draft, known, machine(size)).verdict for size in (80 * 10**9, 18 * 10**9, 8 * 10**9)]
    assert verdicts == ["fits", "tight", "short"]
    assert "8.0 GB on the card are free" in forecast(draft, known, machine(8 * 10**9)).reason


def test_a_share_of_the_card_is_a_limit() -> None:
    said = forecast(spec("train.memory_share=0.5"), facts(LLAMA_8B), CARD)
    assert said.limit_bytes == 12_000_000_000


def test_without_a_card_it_is_ram() -> None:
    said = forecast(spec(), facts(LLAMA_3B), machine())
    assert (said.device, said.limit_bytes, said.ram_bytes) == ("cpu", 32_000_000_000, said.peak_bytes)


def test_a_device_that_is_not_there_is_impossible() -> None:
    said = forecast(spec("train.device=cuda:1"), facts(LLAMA_3B), CARD)
    assert said.verdict == "impossible" and "cuda:1" in said.reason


def test_time_is_not_known_before_it_was_measured(tmp_path: Path) -> None:
    said = peak(LLAMA_3B)
    assert said.step_seconds is None and said.run_seconds is None and said.tokens_per_second is None
