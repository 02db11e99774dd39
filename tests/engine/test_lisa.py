"""LISA's traps: layers that never learn, state that piles up, and weights that differ from full fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.loop import Loop
from studio.engine.rounding import round_at_random
from studio.engine.tracker import Tracker
from studio.methods import METHODS
from studio.models.facts import read_facts
from studio.project.runs import Run
from studio.protocol import commands, events
from studio.worker.training import train
from tests.helpers.small_run import assert_same_result, losses, make_run, result_tensors, train_here, write_sums
from tests.helpers.toy_models import FAMILIES, make_toy

SAMPLINGS = ["uniform", "outliers", "importance"]


def _run(folder: Path, name: str = "r1", layers: int = 4, **settings: Any) -> Any:
    train = {key: settings.pop(key) for key in ("steps", "precision", "optimizer") if key in settings}
    if not (folder / "llama").is_dir():
        make_toy(folder / "llama", num_hidden_layers=layers)
        write_sums(folder / "rows.jsonl")
    method = {"key": "lisa", "active_layers": 1, "interval": 3, **settings}
    return make_run(folder, method=method, name=name, **train)


def _told(heard: list[events.Event]) -> list[events.Layers]:
    return [event for event in heard if isinstance(event, events.Layers)]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_layer_learns_in_the_end(sampling: str, precision: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run = _run(tmp_path, steps=90, sampling=sampling, precision=precision)
    heard = train_here(run)
    assert {at for event in _told(heard) for at in event.active} == {0, 1, 2, 3}
    before, after = load_file(tmp_path / "llama" / "model.safetensors"), result_tensors(run)
    still = [name for name, tensor in before.items() if torch.equal(tensor.to(torch.bfloat16), after[name].bfloat16())]
    assert not still


def test_only_the_active_layer_changes_between_two_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the event says is what happens, weight by weight."""
    seen: list[tuple[set[int], set[int]]] = []
    before: dict[str, torch.Tensor] = {}
    step = Loop._step

    def watched(self: Loop, batches: Any) -> None:
        before.update({n: p.detach().clone() for n, p in self.plan.prepared.model.named_parameters()})
        step(self, batches)
        moved = {n for n, p in self.plan.prepared.model.named_parameters() if not torch.equal(p, before[n])}
        layers = {int(name.split(".layers.")[1].split(".")[0]) for name in moved if ".layers." in name}
        others = {name for name in moved if ".layers." not in name}
        assert others == set()
        seen.append((layers, set(self.driver.active)))  # type: ignore[attr-defined]

    monkeypatch.setattr(Loop, "_step", watched)
    train_here(_run(tmp_path, steps=12, train_embeddings=False))
    assert len(seen) == 12 and all(moved == active for moved, active in seen)
    assert len({tuple(active) for _, active in seen}) > 1


@pytest.mark.parametrize("frozen_state", ["drop", "ram", "disk"])
def test_state_on_the_device_is_flat(frozen_state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many numbers of optimizer state in the last interval as in the first, and gradients of active layers alone."""
    sizes = []
    step = Loop._step

    def watched(self: Loop, batches: Any) -> None:
        step(self, batches)
        sizes.append(sum(v.numel() for s in self.optimizer.state.values() for v in s.values() if torch.is_tensor(v)))
        trained = sum(p.numel() for p in self.plan.prepared.model.parameters() if p.requires_grad)
        assert sizes[-1] <= 2 * trained + 100

    monkeypatch.setattr(Loop, "_step", watched)
    train_here(_run(tmp_path, steps=30, frozen_state=frozen_state))
    assert len(set(sizes)) == 1


def test_with_everything_active_it_is_full_fine_tuning(tmp_path: Path) -> None:
    """Bit for bit, also where full fine-tuning keeps fp32 weights under bf16 arithmetic."""
    for precision in ("fp32", "bf16"):
        full = make_run(tmp_path, method={"key": "full"}, name=f"full-{precision}", precision=precision)
        lisa = make_run(
            tmp_path,
            method={"key": "lisa", "active_layers": 2, "interval": 2},
            name=f"lisa-{precision}",
            precision=precision,
        )
        assert losses(train_here(full)) == losses(train_here(lisa))
        assert_same_result(full, lisa)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_parked_state_makes_a_difference_and_survives_a_pause(precision: str, tmp_path: Path) -> None:
    """In RAM or on the disk it is the same state; a run that paused, or was taken up twice, has it still."""
    dropped = losses(train_here(_run(tmp_path, "dropped", steps=24, precision=precision)))
    straight = _run(tmp_path, "kept", steps=24, frozen_state="ram", precision=precision)
    expected = losses(train_here(straight))
    assert expected[:3] == dropped[:3] and expected != dropped
    for place in ("ram", "disk"):
        run, heard = _run(tmp_path, f"paused-{place}", steps=24, frozen_state=place, precision=precision), []
        for pauses in (8, 14):
            heard += _until(pauses, run)
        heard += train_here(run, resume=True)
        assert losses(heard) == expected
        assert_same_result(straight, run)


def _until(step: int, run: Run) -> list[events.Event]:
    """Train on from the newest checkpoint, until a pause after so many steps of the whole run."""
    heard: list[events.Event] = []

    def poll() -> list[commands.Command]:
        last = [event.step for event in heard if isinstance(event, events.Step)]
        return [commands.Pause()] if last and last[-1] == step else []

    train(run, heard.append, poll, resume=True)
    return heard


def test_state_on_the_disk_is_in_checkpoints_and_nowhere_else(tmp_path: Path) -> None:
    """It lies beside a checkpoint's weights, never in the result; its working copies go when the run ends."""
    run = _run(tmp_path, steps=24, frozen_state="disk")
    train_here(run)
    kept = sorted(path.relative_to(run.folder).parts[0] for path in run.folder.rglob("*.weight.pt"))
    assert kept and set(kept) == {"checkpoints"}
    assert not any((run.folder / "store").rglob("*.pt"))


def test_the_planner_counts_where_state_waits(tmp_path: Path) -> None:
    shapes = read_facts(make_toy(tmp_path / "toy", num_hidden_layers=4)).shapes
    method = METHODS.get("lisa")
    held = {place: method.estimate(method.Params(frozen_state=place), shapes) for place in ("drop", "ram", "disk")}
    waiting = sum(shapes.layer_sizes) // 2
    assert [(each.parked, each.shelved) for each in held.values()] == [(0, 0), (waiting, 0), (0, waiting)]


def test_eight_bit_state_is_dropped_and_parked(tmp_path: Path) -> None:
    import yaml

    for frozen_state in ("drop", "ram", "disk"):
        run = _run(tmp_path, frozen_state, steps=12, frozen_state=frozen_state)
        record = yaml.safe_load((run.folder / "run.yaml").read_text())
        record["spec"]["optimizer"] = {"key": "adamw_8bit"}
        (run.folder / "run.yaml").write_text(yaml.safe_dump(record))
        heard = train_here(run)
        assert losses(heard)[-1] < losses(heard)[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_of_every_family_are_found(family: str, tmp_path: Path) -> None:
    method = {"key": "lisa", "active_layers": 1, "interval": 1, "sampling": "outliers"}
    heard = train_here(make_run(tmp_path, method=method, family=family, steps=4))
    total = read_facts(tmp_path / family).num_layers
    assert _told(heard) and all(event.total == total for event in _told(heard))


def test_stable_settings_are_there() -> None:
    """DESIGN.md section 5: scripts rely on these names."""
    assert {"active_layers", "interval", "train_embeddings"} <= set(METHODS.get("lisa").Params.model_fields)


def test_peak_memory_falls_with_the_number_of_active_layers(tmp_path: Path) -> None:
    """Counted tensor by tensor over whole steps: full above all, frozen embeddings below all."""
    make_toy(tmp_path / "llama", num_hidden_layers=4, hidden_size=128, intermediate_size=256)
    write_sums(tmp_path / "rows.jsonl")
    peaks = {}
    for name, method in {
        "full": {"key": "full"},
        "three": {"key": "lisa", "active_layers": 3, "interval": 2},
        "one": {"key": "lisa", "active_layers": 1, "interval": 2},
        "one alone": {"key": "lisa", "active_layers": 1, "interval": 2, "train_embeddings": False},
    }.items():
        tracker = Tracker()
        run = make_run(tmp_path, method=method, name=name.replace(" ", "-"), steps=6, checkpoint_every=0)
        with tracker:
            train_here(run)
        peaks[name] = tracker.peak_bytes
    assert sorted(peaks, key=lambda name: peaks[name]) == ["one alone", "one", "three", "full"]


def test_turns_are_counted_and_too_few_are_told(tmp_path: Path) -> None:
    many = train_here(_run(tmp_path, "many", steps=30))
    told = _told(many)
    assert sum(told[-1].turns) <= 10 and all(told[-1].turns[at] > 0 for event in told for at in event.active)
    few = train_here(_run(tmp_path, "few", steps=12, interval=6))
    warnings = [[e.text for e in heard if isinstance(e, events.Notice) and "times" in e.text] for heard in (many, few)]
    assert not warnings[0] and "about 0.5 times" in warnings[1][0]


def test_the_card_says_what_embeddings_cost(tmp_path: Path) -> None:
    """A warning with this model's own figures, and only where embeddings outweigh the layers."""
    method = METHODS.get("lisa")
    wide = read_facts(make_toy(tmp_path / "wide", vocab_size=4096))
    (problem,) = method.problems(method.Params(active_layers=1), wide)
    assert not problem.is_fatal and problem.path == "method.train_embeddings" and "%" in problem.message
    assert not method.problems(method.Params(active_layers=1, train_embeddings=False), wide)


def test_frozen_embeddings_stay_as_they_are(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run = _run(tmp_path, steps=12, train_embeddings=False)
    heard = train_here(run)
    assert not _told(heard)[0].others
    before, after = load_file(tmp_path / "llama" / "model.safetensors"), result_tensors(run)
    for name in ("model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"):
        assert torch.equal(before[name], after[name])


def test_rounding_at_random_keeps_the_mean() -> None:
    """A change of a thousandth, far below what bf16 can hold at 1.0, survives on average; exact values stay."""
    draw = torch.Generator().manual_seed(0)
    values = torch.full((200_000,), 1.001)
    rounded = round_at_random(values, torch.bfloat16, draw)
    assert rounded.float().mean().item() == pytest.approx(1.001, abs=1e-4)
    assert values.to(torch.bfloat16).float().mean().item() == 1.0
    exact = torch.tensor([1.0, -0.5, 0.0, 3.0])
    assert torch.equal(round_at_random(exact, torch.bfloat16, draw).float(), exact)
