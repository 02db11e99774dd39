"""Slopes told from forward passes: right on average, nothing drifts, nothing is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.loop import Loop
from studio.engine.zeroth_order import ZerothOrder
from studio.protocol import events
from tests.helpers.small_run import make_run, result_tensors, train_here


def _watch(monkeypatch: pytest.MonkeyPatch, look: Any) -> None:
    gradient = ZerothOrder.gradient

    def watched(self: ZerothOrder, loop: Loop, rows: Any, trained: float) -> float:
        return look(self, loop, rows, trained, gradient)

    monkeypatch.setattr(ZerothOrder, "gradient", watched)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_are_untouched_by_a_pass(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published code moves weights back and forth in place, which leaves rounding behind."""

    def look(self: ZerothOrder, loop: Loop, rows: Any, trained: float, gradient: Any) -> float:
        before = {name: p.detach().clone() for name, p in self.weights.items()}
        with torch.no_grad():
            self._loss(loop, rows, trained, 0.1)
        assert all(torch.equal(p, before[name]) for name, p in self.weights.items())
        return float(gradient(self, loop, rows, trained))

    _watch(monkeypatch, look)
    train_here(make_run(tmp_path, method={"key": "mezo"}, steps=2, precision=precision))


def test_slope_is_the_gradients_part_along_the_direction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(self: ZerothOrder, loop: Loop, rows: Any, trained: float, gradient: Any) -> float:
        for weight in self.weights.values():
            weight.requires_grad_(True)
        with torch.enable_grad():
            sum(loop.module(r.input_ids, r.position_ids, r.index, r.targets, r.row_lengths)[0] for r in rows).backward()
        wanted = sum(float((p.grad * self._direction(p)).sum()) for p in self.weights.values()) / trained
        for weight in self.weights.values():
            weight.requires_grad_(False)
            weight.grad = None
        loss = gradient(self, loop, rows, trained)
        assert self._slope == pytest.approx(wanted, rel=0.02, abs=0.02)
        return float(loss)

    _watch(monkeypatch, look)
    method = {"key": "mezo", "train_embeddings": True}
    train_here(make_run(tmp_path, method=method, steps=3, learning_rate=1e-5))


def test_nothing_is_kept_beside_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Loop._step

    def watched(self: Loop, batches: Any) -> None:
        step(self, batches)
        assert not self.optimizer.state
        assert all(p.grad is None for p in self.plan.prepared.model.parameters())

    monkeypatch.setattr(Loop, "_step", watched)
    heard = train_here(make_run(tmp_path, method={"key": "mezo"}, steps=3))
    assert all(event.grad_norm > 0 for event in heard if isinstance(event, events.Step))


def test_sparse_form_moves_small_weights_only(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run = make_run(tmp_path, method={"key": "sparse_mezo", "share": 0.25}, steps=2, learning_rate=1e-4)
    train_here(run)
    before = load_file(tmp_path / "llama" / "model.safetensors")
    for name, tensor in result_tensors(run).items():
        if "proj" in name:
            moved = tensor != before[name]
            assert 0.2 < moved.float().mean() < 0.3
            assert before[name][moved].abs().max() < before[name][~moved].abs().min() * 1.05
