"""Layers of a streamed model that learn by turns: only they are written, all come up, runs go on exactly."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.stream import prepare
from studio.protocol import commands, events
from tests.helpers.small_run import assert_same_result, losses, make_run, result_tensors, train_here


def _method(learners: str, **more: Any) -> dict[str, Any]:
    method = {"key": "ssd_offload", "scheme": "C", "clipping": "exact", "cache_gb": 0}
    return {**method, "learners": learners, "interval": 2, **more}


@pytest.mark.parametrize("clipping", ["exact", "previous"])
def test_all_drawn_is_all(clipping: str, tmp_path: Path) -> None:
    """Both of the toy's layers drawn at each step: the same bits as without any drawing."""
    every = make_run(tmp_path, method=_method("all", clipping=clipping), name="all", steps=8)
    drawn = make_run(tmp_path, method=_method("drawn", active_layers=2, clipping=clipping), name="drawn", steps=8)
    assert losses(train_here(drawn)) == losses(train_here(every))
    assert_same_result(every, drawn)


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("learners", ["drawn", "turns"])
def test_only_those_in_turn_change(learners: str, ends: bool, tmp_path: Path) -> None:
    """In the first interval one layer learns; what rests keeps its bits, ends only when they are to rest."""
    method = _method(learners, active_layers=1, train_embeddings=ends)
    still = make_run(tmp_path, method=method, name="still", steps=1, learning_rate=1e-30)
    short = make_run(tmp_path, method=method, name="short", steps=2)
    train_here(still)
    heard = train_here(short)
    (active,) = next(event.active for event in heard if isinstance(event, events.Layers))
    before, after = result_tensors(still), result_tensors(short)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == {name for name in after if f"layers.{active}." in name or (ends and "layers." not in name)}


@pytest.mark.parametrize("learners", ["drawn", "turns"])
def test_every_layer_has_its_turn_and_the_loss_falls(learners: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, method=_method(learners, active_layers=1, clipping="previous"), steps=24)
    heard = train_here(run)
    told = [event for event in heard if isinstance(event, events.Layers)]
    assert {at for event in told for at in event.active} == {0, 1}
    assert sum(losses(heard)[-4:]) < sum(losses(heard)[:4]) - 2


@pytest.mark.parametrize("learners", ["drawn", "turns"])
def test_goes_on_exactly(learners: str, tmp_path: Path) -> None:
    method = _method(learners, active_layers=1, scheme="E", clipping="previous")
    straight = make_run(tmp_path, method=method, name="straight", steps=9)
    expected = losses(train_here(straight))
    paused = make_run(tmp_path, method=method, name="paused", steps=9)
    heard: list[events.Event] = []

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(heard)) == 5 else []

    from studio.worker.training import train

    train(paused, heard.append, poll, resume=False)
    assert losses(heard) + losses(train_here(paused, resume=True)) == expected
    assert_same_result(straight, paused)


def test_only_the_active_layer_moves_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes written in a step are those of one layer: its weights and its records."""
    stores = []
    opened = prepare.Store

    def keep(*args: Any, **named: Any) -> Any:
        stores.append(opened(*args, **named))
        return stores[-1]

    monkeypatch.setattr(prepare, "Store", keep)
    written: list[int] = []

    def poll() -> list[commands.Command]:
        if stores:
            written.append(stores[0].traffic.counts.written)
        return []

    method = _method("turns", train_embeddings=False, clipping="layer")
    train_here(make_run(tmp_path, method=method, steps=5), poll=poll)
    layout = stores[0].layout
    layer = sum(layout.slot_bytes(layout.units[unit]) for unit in layout.layers[0])
    assert [b - a for a, b in pairwise(written)] == [layer] * (len(written) - 1)


@pytest.mark.parametrize("ends", [True, False])
def test_with_ends_in_tiles(ends: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = _method("drawn", active_layers=1, train_embeddings=ends)
    held = losses(train_here(make_run(tmp_path, method=method, name="held", steps=6)))
    monkeypatch.setattr(prepare, "HELD_NUMBERS", 0)
    monkeypatch.setattr(prepare, "TILE", 1 << 13)
    tiled = losses(train_here(make_run(tmp_path, method=method, name="tiled", steps=6)))
    assert tiled == pytest.approx(held, abs=2e-5)
