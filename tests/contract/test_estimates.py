"""What every method says of its memory, against the model that it really prepares."""

from __future__ import annotations

import pytest

from studio.engine.probe import Probe, measure, trace
from studio.methods import METHODS
from studio.models.facts import ModelFacts, read_facts
from studio.planner.calculation import calculated_memory, fullest_batch, optimizer_moment
from studio.planner.machine import Device
from tests.helpers.toy_models import make_toy
from tests.unit.planner.samples import spec

CPU = Device("cpu", "cpu", 10**12, 10**12)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ModelFacts:
    """A toy with several layers."""
    sizes = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "vocab_size": 4096}
    return read_facts(make_toy(tmp_path_factory.mktemp("toy") / "llama", **sizes))


@pytest.mark.parametrize("key", METHODS.all())
def test_the_numbers_are_possible(key: str, facts: ModelFacts) -> None:
    method = METHODS.get(key)
    trained = method.estimate(method.Params(), facts.shapes)
    assert min(trained.weights, trained.adapter, trained.gradients, trained.state, trained.parked) >= 0
    assert max(trained.weights, trained.exact, trained.quantised) <= facts.num_parameters
    assert trained.gradients <= trained.weights + trained.adapter + facts.shapes.largest
    assert trained.adapted <= {linear.name for linear in facts.shapes.linears}
    assert bool(trained.gradients) == trained.backward


@pytest.mark.parametrize("key", METHODS.all())
def test_what_is_calculated_is_what_a_step_takes(key: str, facts: ModelFacts) -> None:
    """The whole contract: never more than 5 % too little, at most 12 % too much."""
    if METHODS.get(key).is_streamed:
        pytest.skip("its memory is buffers of its own, which tests/engine/test_stream_memory.py measures")
    draft = spec(f"method.key={key}", "train.max_length=256", "train.batch_size=2")
    batch = fullest_batch(draft, METHODS.get(key).estimate(draft.method, facts.shapes), None)
    calculated = sum(calculated_memory(draft, facts.shapes, CPU, batch)[1].values())
    taken = sum(_look(Probe(draft, facts, batch.tokens, batch.longest)).values())
    taken = max(taken, sum(optimizer_moment(draft, facts.shapes, CPU, batch).values()))
    later = METHODS.get(key).estimate(draft.method, facts.shapes).extra_bytes  # some buffers fill step by step
    assert 0.95 * taken <= calculated <= 1.12 * taken + later


def _look(probe: Probe) -> dict[str, int]:
    """Traced; measured where the method's beginning wants to see values."""
    try:
        return trace(probe)
    except (RuntimeError, ValueError, TypeError):
        return measure(probe, "cpu")
