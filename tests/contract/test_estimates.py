"""What every method says of its memory, against the model that it really prepares."""

from __future__ import annotations

import pytest
import torch

from studio.engine.prepared import Base
from studio.methods import METHODS
from studio.models.facts import ModelFacts, read_facts
from tests.helpers.toy_models import make_toy


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ModelFacts:
    """A toy with several layers."""
    return read_facts(make_toy(tmp_path_factory.mktemp("toy") / "llama", num_hidden_layers=4))


@pytest.mark.parametrize("key", METHODS.all())
def test_the_numbers_are_possible(key: str, facts: ModelFacts) -> None:
    method = METHODS.get(key)
    trained = method.estimate(method.Params(), facts.shapes)
    assert min(trained.weights, trained.adapter, trained.gradients, trained.state, trained.parked) >= 0
    assert max(trained.weights, trained.exact, trained.quantised) <= facts.num_parameters
    assert trained.gradients <= trained.weights + trained.adapter
    assert trained.adapted <= {linear.name for linear in facts.shapes.linears}
    assert bool(trained.gradients) == trained.backward


@pytest.mark.parametrize("key", METHODS.all())
def test_the_numbers_are_those_of_the_prepared_model(key: str, facts: ModelFacts) -> None:
    """At the first step no more can hold a gradient than `gradients` says, and the base is kept as it says."""
    method = METHODS.get(key)
    params = method.Params()
    trained = method.estimate(params, facts.shapes)
    base = Base(
        folder=facts.folder,
        name="toy",
        device=torch.device("cpu"),
        precision="bf16",
        seed=0,
        activation_checkpointing=False,
    )
    prepared = method.prepare(base, params)
    if prepared.before_step:
        prepared.before_step(1)
    added = sum(p.numel() for name, p in prepared.model.named_parameters() if "lora_" in name)
    now = sum(parameter.numel() for parameter in prepared.trainable().values())
    if added:
        assert added == trained.adapter
    assert now >= trained.gradients * 0.999
