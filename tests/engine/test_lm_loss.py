"""Rows laid end to end must come out as each row alone, on every architecture there is a toy of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from studio.engine.lm_loss import LmLoss
from studio.engine.load import load_base
from tests.helpers.toy_models import FAMILIES, make_toy


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_equal_rows_alone(family: str, tmp_path: Path) -> None:
    model = load_base(make_toy(tmp_path / family, family), dtype="float32").eval()
    loss = LmLoss(model, lambda nll: nll)
    lengths = (11, 19, 19)
    ids = (torch.arange(sum(lengths)) * 37 + 5) % 250
    positions = torch.cat([torch.arange(length) for length in lengths])
    index = torch.tensor([3, 4, 5, 12, 28, 40])
    total, _ = loss(ids[None], positions[None], index, ids[index + 1], lengths)
    total.backward()
    got = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.set_attn_implementation("eager")
    logits = torch.cat([model(input_ids=row[None]).logits[0] for row in ids.split(lengths)])
    reference = torch.nn.functional.cross_entropy(logits[index], ids[index + 1], reduction="sum")
    reference.backward()
    assert float(total) == pytest.approx(float(reference), abs=1e-4)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(got[name], parameter.grad, atol=2e-5, rtol=1e-3)


def test_falls_back_to_padding_where_rows_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attention that ignores row borders is found out, and padding used instead."""
    from studio.engine import attention

    def leaky(module, query, key, value, attention_mask, **kwargs):  # type: ignore[no-untyped-def]
        kwargs.pop("row_lengths", None)
        return attention.rows_attention(module, query, key, value, attention_mask, **kwargs)

    from transformers import AttentionInterface

    monkeypatch.setattr(attention, "register", lambda: AttentionInterface.register(attention.NAME, leaky))
    model = load_base(make_toy(tmp_path / "llama", "llama"), dtype="float32").eval()
    assert LmLoss(model, lambda nll: nll).layout == "padded"
    monkeypatch.undo()
    attention.register()


@pytest.mark.parametrize("family", ["deepseek_v3", "gpt_oss"])
def test_unlike_widths_and_sinks_need_no_padding(family: str, tmp_path: Path) -> None:
    model = load_base(make_toy(tmp_path / family, family), dtype="float32").eval()
    assert LmLoss(model, lambda nll: nll).layout == "rows"


def test_padded_layout_gives_the_same_loss(tmp_path: Path) -> None:
    model = load_base(make_toy(tmp_path / "llama", "llama"), dtype="float32").eval()
    loss = LmLoss(model, lambda nll: nll)
    lengths, ids = (4, 9), torch.arange(1, 14)
    positions = torch.cat([torch.arange(4), torch.arange(9)])
    index = torch.tensor([0, 2, 5, 11])
    arguments = (ids[None], positions[None], index, ids[index + 1], lengths)
    rows = float(loss(*arguments)[0])
    with loss.generating():
        loss.layout = "padded"
        assert float(loss(*arguments)[0]) == pytest.approx(rows, abs=1e-4)
        loss.ending = None
        assert float(loss(*arguments)[0]) == pytest.approx(rows, abs=1e-4)


@pytest.mark.parametrize("recomputes", [False, True])
def test_the_last_feed_forward_part_sees_only_what_is_read(recomputes: bool, tmp_path: Path) -> None:
    """Two of thirteen positions; all of them where the layer will be computed again, or where nearly all are read."""
    model = load_base(make_toy(tmp_path / "llama", "llama"), dtype="float32").train()
    if recomputes:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    loss = LmLoss(model, lambda nll: nll)
    seen: list[int] = []
    model.model.layers[-1].mlp.up_proj.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    ids, positions = torch.arange(1, 14)[None], torch.arange(13)[None]

    def gradients(index: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.clear()
        model.zero_grad()
        loss(ids, positions, index, ids[0, index], (13,))[0].backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    few = torch.tensor([3, 11])
    found = gradients(few)
    assert set(seen) == {13 if recomputes else 2}
    gradients(torch.arange(11))
    assert set(seen) == {13}
    loss.last = None
    expected = gradients(few)
    assert set(seen) == {13} and found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-6, rtol=1e-4)


def test_a_last_part_that_mixes_positions_is_left_whole(tmp_path: Path) -> None:
    model = load_base(make_toy(tmp_path / "llama", "llama"), dtype="float32").eval()
    assert LmLoss(model, lambda nll: nll).last is not None
    part = model.model.layers[-1].mlp
    own = part.forward
    part.forward = lambda hidden: own(hidden + hidden.mean(1, keepdim=True))
    assert LmLoss(model, lambda nll: nll).last is None
