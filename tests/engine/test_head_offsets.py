"""LoFiT: heads are chosen by what they do, offsets become biases that any program reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from studio.engine.load import load_base
from studio.errors import UserError
from studio.methods import METHODS
from studio.models.facts import read_facts
from studio.protocol import events
from tests.helpers.small_run import make_run, result_tensors, train_here
from tests.helpers.toy_models import make_toy


def test_result_is_the_base_with_biases_of_the_chosen_heads(tmp_path: Path) -> None:
    run = make_run(tmp_path, method={"key": "lofit", "share": 0.25, "selection_steps": 3})
    heard = train_here(run)
    before, after = load_file(tmp_path / "llama" / "model.safetensors"), result_tensors(run)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    added = set(after) - set(before)
    assert {name.rpartition(".")[2] for name in added} == {"bias"}
    assert all(not after[name].any() for name in added if "o_proj" not in name)
    # What lies behind the biases is two heads of eight: undone by the projection, all other parts are zero.
    chosen = 0
    for name in added:
        if "o_proj" in name:
            weight = after[name.replace("bias", "weight")].double()
            offset = torch.linalg.solve(weight, after[name].double()).view(4, 16)
            chosen += int((offset.norm(dim=1) > 1e-4).sum())
    assert chosen == 2
    told = [event for event in heard if isinstance(event, events.Layers)]
    assert [event.step for event in told] == [4]
    assert load_base(run.result_dir).config.attention_bias is True  # type: ignore[union-attr]


def test_a_run_that_only_chooses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choosing heads takes 50"):
        train_here(make_run(tmp_path, method={"key": "lofit"}))


def test_architectures_without_such_a_bias_are_refused(tmp_path: Path) -> None:
    method = METHODS.get("lofit")
    assert not method.problems(method.Params(), read_facts(make_toy(tmp_path / "llama")))
    for family in ("qwen2", "gemma3", "mistral"):
        assert method.problems(method.Params(), read_facts(make_toy(tmp_path / family, family)))
