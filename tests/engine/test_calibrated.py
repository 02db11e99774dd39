"""Adapters that look at rows first: they find what the library's own measure says, once, and are plain afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from studio.engine.adapters import Adapter
from studio.methods import METHODS
from studio.models.facts import read_facts
from tests.helpers.small_run import losses, make_run, result_tensors, train_here
from tests.helpers.toy_models import make_toy


def test_eva_gives_rank_to_layers_that_need_it_within_the_budget(tmp_path: Path) -> None:
    run = make_run(tmp_path, method={"key": "eva", "rank": 4, "redistribution": 2.0})
    train_here(run)
    config = json.loads((run.result_dir / "adapter_config.json").read_text())
    downs = {name: tensor for name, tensor in result_tensors(run).items() if "lora_A" in name}
    ranks = [len(tensor) for tensor in downs.values()]
    assert len(set(ranks)) > 1 and max(ranks) <= 8 and sum(ranks) <= 4 * 14
    assert config["init_lora_weights"] is True and config["eva_config"] is None
    assert str(tmp_path) not in json.dumps(config)


def test_eva_begins_along_orthogonal_directions_and_changes_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path, method={"key": "eva", "rank": 4}, steps=1, learning_rate=1e-9)
    train_here(run)
    tensors = result_tensors(run)
    for name, tensor in tensors.items():
        if "lora_A" in name:
            gram = tensor @ tensor.T
            assert torch.allclose(gram / gram.diagonal().mean(), torch.eye(len(tensor)), atol=1e-2), name
        else:
            assert tensor.abs().max() < 1e-7


def test_corda_is_taken_up_from_the_same_directions(tmp_path: Path) -> None:
    """What was moved out of the base is measured again on resuming; it must be the very same."""
    seen: list[dict[str, torch.Tensor]] = []
    init = Adapter.__init__

    def watched(self: Adapter, *arguments: object, **options: object) -> None:
        init(self, *arguments, **options)  # type: ignore[arg-type]
        seen.append({name: tensor.clone() for name, tensor in self._initial.items()})

    from studio.protocol import commands, events
    from studio.worker.training import train

    run = make_run(tmp_path, method={"key": "corda", "rank": 4})
    first: list[events.Event] = []

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if sum(isinstance(event, events.Step) for event in first) == 4 else []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Adapter, "__init__", watched)
        train(run, first.append, poll, resume=False)
        train_here(run, resume=True)
    assert len(seen) == 2 and seen[0]
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in seen[0].items())


@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe", "deepseek_v3"])
@pytest.mark.parametrize("key", ["eva", "corda"])
def test_a_mixture_is_looked_at_beside_its_experts(key: str, family: str, tmp_path: Path) -> None:
    """Inputs of any shape, a gate with a single outcome, names that elsewhere mean experts."""
    run = make_run(tmp_path, method={"key": key, "rank": 4}, family=family, steps=6)
    heard = losses(train_here(run))
    names = result_tensors(run)
    assert heard[-1] < heard[0]
    assert any("self_attn" in name for name in names) and not any(".experts." in name for name in names)
    facts = read_facts(tmp_path / family)
    (said,) = METHODS.get(key).problems(METHODS.get(key).Params(rank=4), facts)  # type: ignore[call-arg]
    assert not said.is_fatal and "experts" in said.message


def test_experts_that_are_named_are_refused_before_the_start(tmp_path: Path) -> None:
    facts = read_facts(make_toy(tmp_path / "deepseek_v3", "deepseek_v3"))
    named, halves = {"targets": ["q_b_proj", "down_proj"]}, {"targets": ["q_b_proj", "gate_proj"]}
    (eva,) = METHODS.get("eva").problems(METHODS.get("eva").Params(**named), facts)  # type: ignore[arg-type]
    assert eva.is_fatal and "look at no inputs" in eva.message and "method.targets" in eva.hint
    (lora,) = METHODS.get("lora").problems(METHODS.get("lora").Params(**halves), facts)  # type: ignore[arg-type]
    assert lora.is_fatal and "gate_proj and up_proj" in lora.message
    assert not METHODS.get("lora").problems(METHODS.get("lora").Params(**named), facts)  # type: ignore[arg-type]
