"""S2FT: slices get the gradient they would have in the whole, nothing else moves, little is kept for backward."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from studio.engine.sliced import Slice
from studio.errors import UserError
from tests.helpers.small_run import make_run, result_tensors, train_here


@pytest.mark.parametrize("has_bias", [True, False])
def test_gradients_are_those_of_the_whole_layer(has_bias: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(12, 7, bias=has_bias)
    x = torch.randn(2, 5, 12, requires_grad=True)
    target = torch.randn(2, 5, 7)
    (layer(x) * target).sum().backward()
    assert x.grad is not None and layer.weight.grad is not None
    to_input, to_weight, x.grad = x.grad, layer.weight.grad, None
    layer.requires_grad_(False)
    columns = torch.tensor([1, 4, 5])
    unit = Slice(layer, columns)
    (layer(x) * target).sum().backward()
    assert x.grad is not None and unit.core.grad is not None
    assert torch.allclose(x.grad, to_input, atol=1e-6)
    assert torch.allclose(unit.core.grad, to_weight[:, columns], atol=1e-6)


def test_only_the_chosen_columns_are_kept_for_backward() -> None:
    layer = nn.Linear(1000, 8, bias=False).requires_grad_(False)
    Slice(layer, torch.arange(10))
    kept: list[int] = []
    x = torch.randn(50, 1000, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        layer(x)
    assert 50 * 10 in kept and 50 * 1000 not in kept


def test_whole_heads_and_channels_move_and_nothing_else(tmp_path: Path) -> None:
    run = make_run(tmp_path, method={"key": "s2ft", "heads": 0.25, "channels": 0.05})
    train_here(run)
    before = load_file(tmp_path / "llama" / "model.safetensors")
    for name, tensor in result_tensors(run).items():
        moved = (tensor != before[name]).any(0) if tensor.ndim == 2 else (tensor != before[name])
        columns = moved.nonzero().flatten().tolist()
        if "o_proj" in name:  # one of four heads of sixteen
            assert len(columns) == 16 and columns[0] % 16 == 0 and columns[-1] == columns[0] + 15
        else:
            assert len(columns) == (6 if "down_proj" in name else 0), name


def test_a_family_without_such_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be told apart"):
        train_here(make_run(tmp_path, method={"key": "s2ft"}, family="gpt2"))
