"""What every method owes: it learns, stops and goes on exactly, and its result is what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.load import load_base, load_tuned
from studio.export.merge import open_tensors
from studio.methods import METHODS
from studio.models.arithmetic import measure
from studio.models.facts import read_facts, tensor_headers
from studio.project.runs import Run
from studio.protocol import commands, events
from studio.worker.evaluation import evaluate
from studio.worker.job import Context
from studio.worker.training import train
from tests.helpers.small_run import assert_same_result, losses, make_run, train_here
from tests.helpers.toy_models import make_toy

# Settings small enough for a model of two layers and twelve steps; what a file of its own does not need is not here.
SETTINGS: dict[str, dict[str, Any]] = {
    "lisa": {"active_layers": 1, "interval": 3},
    "freeze": {"trained_layers": 1},
    "badam": {"interval": 3},
    "hft": {"interval": 5},
    "galore": {"rank": 8, "interval": 5},
    "natural_galore": {"rank": 8, "interval": 5},
    "frugal": {"interval": 5},
    "lift": {"rank": 4, "interval": 5},
    "spiel": {"density": 0.1, "interval": 4},
    "ist": {"active_share": 0.5, "interval": 2},
    "lofit": {"share": 0.5, "selection_steps": 3},
    "miss": {"rank": 8},
    "eva": {"rank": 8},
    "corda": {"rank": 8},
    "longlora": {"rank": 8},
    "owlore": {"active_layers": 1, "interval": 3, "rank": 8},
}
TRAIN: dict[str, dict[str, Any]] = {
    "mezo": {"steps": 60, "learning_rate": 5e-4, "eval_every": 60, "schedule": "constant"},
    "sparse_mezo": {"steps": 60, "learning_rate": 5e-4, "eval_every": 60, "schedule": "constant"},
}
# Forms of a method that take another way through the code.
VARIANTS: dict[str, dict[str, Any]] = {
    "lisa-parked": {"key": "lisa", "active_layers": 1, "interval": 3, "frozen_state": "ram", "sampling": "importance"},
    "lisa-on-disk": {"key": "lisa", "active_layers": 1, "interval": 3, "frozen_state": "disk", "sampling": "outliers"},
    "badam-outside": {"key": "badam", "interval": 2, "train_embeddings": True, "order": "descending"},
    "freeze-head": {"key": "freeze", "trained_layers": 1, "train_head": True},
    "galore-outside": {"key": "galore", "rank": 8, "interval": 5, "train_embeddings": True},
    "corda-knowledge": {"key": "corda", "rank": 8, "mode": "knowledge"},
    "bone": {"key": "miss", "form": "bone", "rank": 8},
}
CASES = [*METHODS.all(), *VARIANTS]


def _method(key: str) -> dict[str, Any]:
    return VARIANTS.get(key) or {"key": key, **SETTINGS.get(key, {})}


def _run(folder: Path, key: str, name: str = "r1", **train: Any) -> Run:
    return make_run(folder, method=_method(key), name=name, **{**TRAIN.get(key, {}), **train})


def _last_eval(heard: list[events.Event]) -> float:
    return [event.loss for event in heard if isinstance(event, events.Eval)][-1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("key", CASES)
def test_learns_and_goes_on_exactly(key: str, precision: str, tmp_path: Path) -> None:
    """The loss falls; a run paused in the middle ends with the bits of one that was not."""
    straight = _run(tmp_path, key, "straight", precision=precision)
    heard = train_here(straight)
    evals = [event.loss for event in heard if isinstance(event, events.Eval)]
    assert evals[-1] < evals[0]

    paused = _run(tmp_path, key, "paused", precision=precision)
    first: list[events.Event] = []
    middle = len(losses(heard)) // 2 + 1

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(first)) == middle else []

    assert train(paused, first.append, poll, resume=False).reason == "paused"
    second = train_here(paused, resume=True)
    assert losses(first) + losses(second) == losses(heard)
    assert_same_result(straight, paused)


@pytest.mark.parametrize("key", CASES)
def test_result_and_merged_weights_are_what_was_trained(key: str, tmp_path: Path) -> None:
    """Three ways to the same model: as it stood at the last step, loaded from the result, merged for export."""
    run = _run(tmp_path, key, learning_rate=TRAIN.get(key, {}).get("learning_rate", 2e-3))
    trained = _last_eval(train_here(run))
    report = evaluate(run, None, Context(emit=lambda event: None))
    tolerance = (
        2e-3 if METHODS.get(_method(key)["key"]).quantises_base else 1e-5
    )  # trained on 4 bits, merged into the exact base
    assert report["tuned"]["loss"] == pytest.approx(trained, abs=tolerance)

    base = tmp_path / "llama"
    tensors = open_tensors(base, run.result_dir)
    tuned = load_tuned(base, run.result_dir, dtype="float32")
    merged = load_base(base, dtype="float32")
    state = {name: tensors.load(name) for name in tensors.headers}
    missing = merged.load_state_dict(state, strict=False)
    ids = torch.arange(3, 40)[None]
    if not missing.unexpected_keys:  # what a method adds to the architecture is proved by its own test
        with torch.no_grad():
            gap = (tuned(input_ids=ids).logits - merged(input_ids=ids).logits).abs().max()
            moved = (load_base(base, dtype="float32")(input_ids=ids).logits - merged(input_ids=ids).logits).abs().max()
        assert gap < 1e-4 and moved > 10 * gap


@pytest.mark.parametrize("key", METHODS.all())
def test_activations_can_be_recomputed(key: str, tmp_path: Path) -> None:
    plain = train_here(_run(tmp_path, key, "plain", steps=6))
    spare = train_here(_run(tmp_path, key, "spare", steps=6, activation_checkpointing=True))
    assert losses(spare) == pytest.approx(losses(plain), abs=1e-4)


@pytest.mark.parametrize("key", METHODS.all())
def test_estimate_is_arithmetic_within_the_model(key: str, tmp_path: Path) -> None:
    method = METHODS.get(key)
    folder = make_toy(tmp_path / "toy")
    shapes = measure(
        {name: header["shape"] for name, header in tensor_headers(folder).items()}, read_facts(folder).config
    )
    held = method.estimate(method.Params.model_validate(_method(key)), shapes)
    assert 0 <= held.weights <= shapes.total and 0 <= held.layers <= shapes.layers
    assert held.backward == (held.gradients > 0)


@pytest.mark.parametrize("key", METHODS.all())
def test_cards_are_sentences(key: str) -> None:
    method = METHODS.get(key)
    for text in (method.summary, method.good_for, method.avoid_when):
        assert text[0].isupper() and text.endswith("."), text
