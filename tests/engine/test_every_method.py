"""What every method owes: it learns, stops and goes on exactly, and its result is what was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from studio.engine.load import load_base, load_tuned
from studio.export.merge import open_tensors
from studio.methods import METHODS
from studio.models.arithmetic import measure
from studio.models.facts import read_facts, tensor_headers
from studio.protocol import commands, events
from studio.worker.evaluation import evaluate
from studio.worker.job import Context
from studio.worker.training import train
from tests.helpers.method_cases import CASES, TRAIN, make_case, settings_of
from tests.helpers.small_run import assert_same_result, losses, train_here
from tests.helpers.toy_models import make_toy


def _last_eval(heard: list[events.Event]) -> float:
    return [event.loss for event in heard if isinstance(event, events.Eval)][-1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("key", CASES)
def test_learns_and_goes_on_exactly(key: str, precision: str, tmp_path: Path) -> None:
    """The loss falls; a run paused in the middle ends with the bits of one that was not."""
    straight = make_case(tmp_path, key, "straight", precision=precision)
    heard = train_here(straight)
    evals = [event.loss for event in heard if isinstance(event, events.Eval)]
    assert evals[-1] < evals[0]

    paused = make_case(tmp_path, key, "paused", precision=precision)
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
    run = make_case(tmp_path, key, learning_rate=TRAIN.get(key, {}).get("learning_rate", 2e-3))
    trained = _last_eval(train_here(run))
    report = evaluate(run, None, Context(emit=lambda event: None))
    tolerance = (
        2e-3 if METHODS.get(settings_of(key)["key"]).quantises_base else 1e-5
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
    plain = train_here(make_case(tmp_path, key, "plain", steps=6))
    spare = train_here(make_case(tmp_path, key, "spare", steps=6, activation_checkpointing=True))
    assert losses(spare) == pytest.approx(losses(plain), abs=1e-4)


@pytest.mark.parametrize("key", METHODS.all())
def test_estimate_is_arithmetic_within_the_model(key: str, tmp_path: Path) -> None:
    method = METHODS.get(key)
    folder = make_toy(tmp_path / "toy")
    shapes = measure(
        {name: header["shape"] for name, header in tensor_headers(folder).items()}, read_facts(folder).config
    )
    held = method.estimate(method.Params.model_validate(settings_of(key)), shapes)
    assert 0 <= held.weights <= shapes.total and 0 <= held.layers <= shapes.layers
    assert held.backward == (held.gradients > 0)


@pytest.mark.parametrize("key", METHODS.all())
def test_cards_are_sentences(key: str) -> None:
    method = METHODS.get(key)
    for text in (method.summary, method.good_for, method.avoid_when):
        assert text[0].isupper() and text.endswith("."), text
