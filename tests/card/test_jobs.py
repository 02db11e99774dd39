"""What else a worker does on a card: measure, answer, probe, and go on when its memory is full."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine import speeds
from studio.engine.probe import Probe, measure
from studio.methods import METHODS
from studio.models.facts import read_facts
from studio.planner.calculation import calculated_memory, fullest_batch
from studio.planner.machine import Device
from studio.protocol import events
from studio.spec.sampling import Sampling
from studio.worker.chatting import open_talker
from studio.worker.evaluation import evaluate
from studio.worker.job import Context
from tests.helpers.card import NAME
from tests.helpers.small_run import losses, make_run, train_here, write_sums
from tests.helpers.toy_models import make_toy
from tests.unit.planner.samples import spec

CARD = Device("cuda", "cuda", 10**12, 10**12)
is_pretended = torch.cuda.get_device_name() == NAME


@pytest.mark.parametrize("method", [{"key": "lora"}, {"key": "qlora"}, {"key": "ssd_offload"}])
def test_a_result_is_measured_and_answers(method: dict[str, Any], tmp_path: Path) -> None:
    run = make_run(tmp_path, method=method, device="cuda")
    trained = [event.loss for event in train_here(run) if isinstance(event, events.Eval)][-1]
    report = evaluate(run, None, Context(emit=lambda event: None))
    assert report["tuned"]["loss"] == pytest.approx(trained, abs=5e-3 if method["key"] == "qlora" else 1e-4)
    talker = open_talker({"source": str(run.folder), "device": "cuda"}, lambda *_: None)
    sampling = Sampling(temperature=0.0, max_tokens=5)
    question = [{"role": "user", "content": "What is 3 plus 4?"}]
    pieces = talker.stream(question, sampling=sampling, is_cancelled=lambda: False)
    assert len([*pieces]) <= 5


def test_speeds_of_the_card_are_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_SECONDS", 0.01), ("_CPU_SIZE", 128), ("_COPIED", 1 << 20), ("_FILE", 1 << 25)):
        monkeypatch.setattr(speeds, name, value)
    found = speeds.measure_speeds(tmp_path)
    assert found.pcie > 1e6 and found.matmul["cuda bf16"] > 1e6 and found.memory["cuda"] > 1e6


_STREAMED = "method.placement=drive"


@pytest.mark.parametrize(
    "settings",
    [
        "lora",
        "qlora",
        "full",
        "freeze",
        "galore",
        "mezo",
        "s2ft",
        "owlore method.active_layers=4",  # all: no chance which
        f"lora {_STREAMED}",
        f"qlora {_STREAMED}",
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_takes_what_is_calculated(settings: str, precision: str, tmp_path: Path) -> None:
    """The allocator's own high-water mark, in units of 512 bytes."""
    _takes(settings, precision, tmp_path, hidden_size=256, intermediate_size=704, num_hidden_layers=4)


@pytest.mark.parametrize("scheme", ["C", "E", "I"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_streamed_step_takes_what_is_calculated(scheme: str, precision: str, tmp_path: Path) -> None:
    """Of a layer so large that it is more than what is held of a tile while it learns."""
    settings = f"ssd_offload method.scheme={scheme} method.cache_gb=0"
    _takes(settings, precision, tmp_path, hidden_size=1024, intermediate_size=2816, num_hidden_layers=3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_streamed_mixture_takes_what_is_calculated(precision: str, tmp_path: Path) -> None:
    """A layer comes whole, with the gradients of all its experts."""
    experts = {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 512}
    sizes = {"hidden_size": 1024, "num_hidden_layers": 3, "num_attention_heads": 16, "num_key_value_heads": 8}
    _takes("ssd_offload method.cache_gb=0", precision, tmp_path, "qwen3_moe", **sizes, **experts)


def _takes(settings: str, precision: str, tmp_path: Path, family: str = "llama", **sizes: int) -> None:
    facts = read_facts(make_toy(tmp_path / family, family, **sizes))
    train = ("train.batch_size=3", "train.max_length=256", f"train.precision={precision}")
    draft = spec(*f"method.key={settings}".split(), *train)
    batch = fullest_batch(draft, METHODS.get(draft.method.key).estimate(draft.method, facts.shapes), None)
    calculated = sum(calculated_memory(draft, facts.shapes, CARD, batch)[1].values())
    gc.collect()  # what tests before this one have left
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    measure(Probe(draft, facts, batch.tokens, batch.longest), "cuda")
    taken = torch.cuda.max_memory_allocated() - before
    assert 0.95 <= calculated / taken <= 1.12


def _full(folder: Path, method: dict[str, Any], share: float, **train: Any) -> tuple[list[str], list[list[float]]]:
    """A run that has a share of what it would take: its warnings; its losses and those of one that has all."""
    whole = make_run(folder, method=method, name="whole", device="cuda", **train)
    gc.collect()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    expected = losses(train_here(whole))
    most, total = torch.cuda.max_memory_allocated() - before, torch.cuda.mem_get_info()[1]
    train["memory_share"] = (torch.cuda.memory_allocated() + share * most) / total
    heard = train_here(make_run(folder, method=method, name="capped", device="cuda", **train))
    told = [event.text for event in heard if isinstance(event, events.Notice) and event.severity == "warning"]
    return told, [losses(heard), expected]


@pytest.mark.skipif(not is_pretended, reason="a toy cannot fill a real card")
@pytest.mark.parametrize(
    "method",
    [
        {"key": "lora"},
        {"key": "full"},
        {"key": "mezo"},
        {"key": "lora", "placement": "drive"},
        {"key": "qlora", "placement": "drive"},
        {"key": "ssd_offload"},
        {"key": "ssd_offload", "clipping": "exact"},
    ],
)
def test_a_card_that_is_full_goes_on_in_pieces(method: dict[str, Any], tmp_path: Path) -> None:
    """Its allocator really refuses; the same rows are read in smaller pieces, to the same losses."""
    told, (found, expected) = _full(tmp_path, method, 0.7, batch_size=48)
    assert any("pieces" in text for text in told), told
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.skipif(not is_pretended, reason="a toy cannot fill a real card")
def test_where_rows_cannot_be_cut_layer_inputs_leave_the_card(tmp_path: Path) -> None:
    make_toy(tmp_path / "llama", num_hidden_layers=24)
    write_sums(tmp_path / "rows.jsonl")
    told, (found, expected) = _full(tmp_path, {"key": "ssd_offload", "scheme": "D"}, 0.75, batch_size=8, steps=3)
    assert "wait in RAM" in told[-1]
    assert found == pytest.approx(expected, rel=1e-3)
