"""The probe: a step traced without weights takes what the same step takes with them, and forecasts know it then."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from studio.engine.probe import Probe, measure, trace
from studio.engine.tracker import Tracker
from studio.engine.weightless import is_weightless, weightless
from studio.methods import METHODS
from studio.models.facts import read_facts
from studio.planner.calculation import calculated_memory, fullest_batch
from studio.planner.forecast import forecast
from studio.planner.machine import Device, this_machine
from studio.project.folder import Project
from studio.project.jobs import run_to_result
from studio.project.starting import make_run as start
from studio.spec.values import set_values
from tests.helpers.small_run import write_sums
from tests.helpers.toy_models import make_toy
from tests.unit.planner.samples import spec

CPU = Device("cpu", "cpu", 10**12, 10**12)
FAMILIES = ("llama", "qwen3", "gemma3")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["lora", "qlora", "qlora method.dora=true", "full"])
def test_a_trace_takes_what_the_step_takes(family: str, method: str, tmp_path: Path) -> None:
    facts = read_facts(make_toy(tmp_path / family, family, hidden_size=128, num_hidden_layers=3))
    draft = spec(*f"method.key={method}".split(), "train.batch_size=2")
    probe = Probe(draft, facts, tokens=400, longest=200)
    traced, measured = trace(probe), measure(probe, "cpu")
    assert sum(traced.values()) == pytest.approx(sum(measured.values()), rel=0.02)


_DENSE = ("gpt2", "gemma2", "phi3", "mistral", "qwen2")
_MIXED = ("mixtral", "qwen3_moe", "qwen2_moe", "deepseek_v2", "deepseek_v3", "granitemoeshared", "olmoe", "gpt_oss")


@pytest.mark.parametrize("family", [*_DENSE, *_MIXED])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_family_is_calculated_as_it_is(family: str, method: str, tmp_path: Path) -> None:
    """Experts, capped or dropped attention, fused matrices, tied embeddings: all counted."""
    is_gpt = family == "gpt2"
    sizes = {"n_embd": 256} if is_gpt else {"hidden_size": 256, "intermediate_size": 704}
    facts = read_facts(make_toy(tmp_path / family, family, **sizes))
    draft = spec(f"method.key={method}", "train.batch_size=2", "train.max_length=256")
    batch = fullest_batch(draft, METHODS.get(method).estimate(draft.method, facts.shapes), None)
    calculated = sum(calculated_memory(draft, facts.shapes, CPU, batch)[1].values())
    taken = _taken(Probe(draft, facts, batch.tokens, batch.longest))
    assert facts.shapes.total == facts.num_parameters
    assert 0.95 <= calculated / taken <= 1.12


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize(
    ("setting", "layers", "hidden", "wide", "chosen"),
    [
        ("train.accumulation=1", 2, 256, 704, 2),  # wide experts: one layer's sum of both decides
        ("train.activation_checkpointing=true", 4, 128, 352, 2),
        ('method.targets=["q_proj","v_proj"]', 3, 256, 256, 1),  # narrow ones, and frozen: what is sorted does
    ],
)
def test_experts_beside_adapters_are_calculated(
    family: str, precision: str, setting: str, layers: int, hidden: int, wide: int, chosen: int, tmp_path: Path
) -> None:
    sizes: dict[str, Any] = {"hidden_size": hidden, "intermediate_size": wide, "num_hidden_layers": layers}
    facts = read_facts(make_toy(tmp_path / family, family, num_experts_per_tok=chosen, **sizes))
    draft = spec(setting, f"train.precision={precision}", "train.batch_size=2", "train.max_length=256")
    trained = METHODS.get("lora").estimate(draft.method, facts.shapes)
    assert trained.adapts_experts == ("targets" not in setting)
    batch = fullest_batch(draft, trained, None)
    calculated = sum(calculated_memory(draft, facts.shapes, CPU, batch)[1].values())
    assert 0.94 <= calculated / _taken(Probe(draft, facts, batch.tokens, batch.longest)) <= 1.065


@pytest.mark.parametrize("family", ["qwen3_moe", "deepseek_v3"])
@pytest.mark.parametrize("setting", ["train.precision=fp32", "train.activation_checkpointing=true"])
def test_trained_experts_are_calculated(family: str, setting: str, tmp_path: Path) -> None:
    """In fp32 whatever the rest computes in, with gradients of all experts of a layer at once."""
    many = {"qwen3_moe": "num_experts", "deepseek_v3": "n_routed_experts"}[family]
    sizes: dict[str, Any] = {"hidden_size": 256, "moe_intermediate_size": 96, many: 16, "num_experts_per_tok": 4}
    facts = read_facts(make_toy(tmp_path / family, family, num_hidden_layers=3, **sizes))
    draft = spec("method.key=freeze", setting, "train.batch_size=2", "train.max_length=256")
    batch = fullest_batch(draft, METHODS.get("freeze").estimate(draft.method, facts.shapes), None)
    calculated = sum(calculated_memory(draft, facts.shapes, CPU, batch)[1].values())
    assert 0.95 <= calculated / _taken(Probe(draft, facts, batch.tokens, batch.longest)) <= 1.05


@pytest.mark.parametrize("setting", ["method.dora=true", "method.dropout=0.1"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3"])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_what_adapters_keep_beside_is_calculated(family: str, setting: str, precision: str, tmp_path: Path) -> None:
    """Outputs that DoRA stretches, and which inputs were hidden: a tenth to a third of the whole."""
    sizes = {"n_embd": 256} if family == "gpt2" else {"hidden_size": 256, "intermediate_size": 704}
    facts = read_facts(make_toy(tmp_path / family, family, num_hidden_layers=3, **sizes))
    draft = spec(setting, f"train.precision={precision}", "train.batch_size=2", "train.max_length=256")
    batch = fullest_batch(draft, METHODS.get("lora").estimate(draft.method, facts.shapes), None)
    calculated = sum(calculated_memory(draft, facts.shapes, CPU, batch)[1].values())
    assert 0.95 <= calculated / _taken(Probe(draft, facts, batch.tokens, batch.longest)) <= 1.12


def _taken(probe: Probe) -> int:
    """Traced; measured where torch knows no shapes for an operation (grouped products in fp32)."""
    try:
        return sum(trace(probe).values())
    except RuntimeError:
        return sum(measure(probe, "cpu").values())


def test_the_tracker_counts_what_lives_together() -> None:
    with Tracker() as tracker:
        first = torch.empty(1000)
        view = first[10:]
        second = torch.empty(500, dtype=torch.float64)
        del first
        assert tracker.now["activations"] == 8000
        del view
        third = torch.empty(100)
    assert tracker.peak_bytes == 8000
    assert tracker.now["activations"] == 4400
    del second, third


def test_gradients_and_weights_have_names() -> None:
    layer = nn.Linear(10, 20, bias=False)
    tracker = Tracker(block=512)
    tracker.own("weights", [layer.weight])
    tracker.own_gradients([layer.weight])
    with tracker:
        layer(torch.ones(3, 10)).sum().backward()
    assert tracker.now["weights"] == 1024 and tracker.now["gradients"] == 1024


def test_torch_is_itself_again_afterwards() -> None:
    apply, item = nn.Module._apply, torch.Tensor.item
    with weightless():
        assert is_weightless()
        assert nn.Linear(10, 10).to(torch.float64).weight.dtype == torch.float64
    assert not is_weightless()
    assert nn.Module._apply is apply and torch.Tensor.item is item
    assert torch.ones(1).item() == 1.0


def test_the_job_is_remembered_by_every_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    model = make_toy(tmp_path / "llama")
    rows = write_sums(tmp_path / "rows.jsonl")
    draft = spec(f"model.source={model}", f"data.path={rows}", "train.device=cpu", "train.max_length=256")
    said: dict[str, Any] = run_to_result("probe", {"spec": draft.model_dump(mode="json")})
    assert said["how"] == "traced"
    assert said["calculated_bytes"] == pytest.approx(said["peak_bytes"], rel=0.12)
    from studio.planner.row_sample import read_lengths

    lengths = read_lengths(draft, model)
    known = forecast(draft, read_facts(model), this_machine(tmp_path), lengths)
    assert known.is_exact
    assert known.peak_bytes - known.memory["other"] == said["peak_bytes"]
    run, _ = start(Project.create(tmp_path / "project", draft), draft)
    kept = json.loads(run.probe_path.read_text(encoding="utf-8"))
    assert kept == {"device": "cpu", "memory": known.memory, "peak_bytes": known.peak_bytes}
    other, _ = start(Project.open(tmp_path / "project"), set_values(draft, ["train.batch_size=3"]))
    assert not other.probe_path.exists()  # nobody looked at that


def test_a_streamed_step_that_was_measured_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store is as large as the model three times over."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    facts = read_facts(make_toy(tmp_path / "llama"))
    for sets in ("method.key=ssd_offload", "method.key=lora method.placement=drive method.layer_inputs=drive"):
        assert sum(measure(Probe(spec(*sets.split()), facts, 64, 64), "cpu").values()) > 0
    assert not [path for path in place.rglob("*") if path.is_file()]
