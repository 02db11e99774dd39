"""LongLoRA: groups are groups, rows stay apart, and a stretched context is in the result."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from studio.engine.attention import GROUP_SHARE, rows_attention
from studio.engine.load import load_base
from studio.errors import UserError
from studio.methods import METHODS
from studio.models.facts import read_facts
from studio.protocol import events
from studio.spec.check import check
from studio.worker.evaluation import evaluate
from studio.worker.job import Context
from tests.helpers.small_run import make_run, train_here
from tests.helpers.toy_models import make_toy

LENGTHS = (64, 24, 100)


class _Attention(nn.Module):
    def __init__(self, share: float) -> None:
        super().__init__()
        setattr(self, GROUP_SHARE, share)


def _reach(module: nn.Module, heads: int, kv_heads: int, lengths: tuple[int, ...]) -> torch.Tensor:
    """(heads, tokens, tokens) bool: which keys each query's answer depends on, told by one-hot values."""
    total = sum(lengths)
    torch.manual_seed(0)
    query, key = torch.randn(1, heads, total, total), torch.randn(1, kv_heads, total, total)
    value = torch.eye(total)[None, None].expand(1, kv_heads, total, total)
    out, _ = rows_attention(module, query, key, value, None, scaling=0.01, row_lengths=lengths)
    return out[0].transpose(0, 1) > 0


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_each_half_of_the_heads_sees_its_own_groups(kv_heads: int) -> None:
    module = _Attention(0.25).train()
    seen = _reach(module, 4, kv_heads, LENGTHS)
    starts = [sum(LENGTHS[:at]) for at in range(3)]
    for head in range(4):
        wanted = torch.zeros(sum(LENGTHS), sum(LENGTHS), dtype=torch.bool)
        for start, length in zip(starts, LENGTHS, strict=True):
            group = max(16, -(-length // 4))
            at = torch.arange(length)
            number = at // group if head < 2 else (at + group - group // 2) // group
            inside = (number[:, None] == number[None]) & (at[:, None] >= at[None])
            wanted[start : start + length, start : start + length] = inside
        assert torch.equal(seen[head], wanted), head


def test_evaluation_sees_whole_rows() -> None:
    module = _Attention(0.25).eval()
    seen = _reach(module, 4, 2, (40, 40))
    block = torch.ones(40, 40, dtype=torch.bool).tril()
    assert torch.equal(seen, torch.block_diag(block, block).bool().expand(4, 80, 80))


def test_stretched_context_is_in_the_result(tmp_path: Path) -> None:
    run = make_run(tmp_path, method={"key": "longlora", "rank": 8, "stretch": 4}, learning_rate=2e-3)
    trained = [event.loss for event in train_here(run) if isinstance(event, events.Eval)][-1]
    config = load_base(run.result_dir).config  # type: ignore[union-attr]
    assert config.max_position_embeddings == 2048
    assert config.rope_parameters["rope_type"] == "linear" and config.rope_parameters["factor"] == 4.0
    report = evaluate(run, None, Context(emit=lambda event: None))
    assert report["tuned"]["loss"] == pytest.approx(trained, abs=1e-5)


def test_rows_may_be_as_long_as_the_stretched_context(tmp_path: Path) -> None:
    run = make_run(tmp_path, method={"key": "longlora", "stretch": 4}, max_length=2000)
    spec, facts = run.frozen_spec(), read_facts(tmp_path / "llama")
    assert "train.max_length" not in [problem.path for problem in check(spec, facts)]
    plain = spec.model_copy(update={"method": METHODS.get("longlora").Params()})
    assert "train.max_length" in [problem.path for problem in check(plain, facts)]


def test_positions_with_a_scaling_of_their_own_are_refused(tmp_path: Path) -> None:
    rope = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    make_toy(tmp_path / "llama", rope_parameters=rope)
    from tests.helpers.small_run import write_sums

    write_sums(tmp_path / "rows.jsonl")
    with pytest.raises(UserError, match="cannot be stretched"):
        train_here(make_run(tmp_path, method={"key": "longlora", "stretch": 2}))
