"""Every method on a card: the losses of the processor, no tensor on the wrong device, and a run goes on exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.engine.stream import fused_update
from studio.methods import METHODS
from studio.project.runs import Run
from studio.protocol import commands, events
from studio.worker.training import train
from tests.helpers.method_cases import CASES, make_case
from tests.helpers.small_run import assert_same_result, losses, train_here

_ROUGH = {"galore", "natural_galore", "owlore", "galore-outside"}
"""Singular vectors of values near each other follow the last bit of a gradient, and with them everything after."""


def _make(folder: Path, case: str, name: str, device: str, precision: str = "fp32") -> Run:
    return make_case(folder, case, name, device=device, precision=precision, steps=8, eval_every=8)


@pytest.mark.parametrize("case", CASES)
def test_trains_as_on_the_processor(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_update, "library", lambda: None)  # it rounds at random by other numbers than torch
    expected = losses(train_here(_make(tmp_path, case, "processor", "cpu")))
    heard = train_here(_make(tmp_path, case, "card", "cuda"))
    assert losses(heard) == pytest.approx(expected, abs=2e-2 if case in _ROUGH else 1e-4)
    held = [event for event in heard if isinstance(event, events.Memory)][-1]
    assert held.gpu["weights"] > 0
    assert held.ram["other"] > 0 and not held.ram.get("activations")


@pytest.mark.parametrize("case", METHODS.all())
def test_sixteen_bits(case: str, tmp_path: Path) -> None:
    expected = losses(train_here(_make(tmp_path, case, "processor", "cpu", "bf16")))
    assert losses(train_here(_make(tmp_path, case, "card", "cuda", "bf16"))) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("case", ["lora", "full", "lisa-parked", "galore", "spiel", "mezo", "ssd_offload"])
def test_goes_on_exactly(case: str, tmp_path: Path) -> None:
    straight = _make(tmp_path, case, "straight", "cuda")
    expected = losses(train_here(straight))
    paused, first = _make(tmp_path, case, "paused", "cuda"), list[events.Event]()

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(first)) == 4 else []

    assert train(paused, first.append, poll, resume=False).reason == "paused"
    assert losses(first) + losses(train_here(paused, resume=True)) == expected
    assert_same_result(straight, paused)
