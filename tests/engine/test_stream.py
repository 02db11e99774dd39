"""Training streamed from the drive: the same numbers as in memory, through kills, with the bytes that were promised."""

from __future__ import annotations

import errno
import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine import device
from studio.engine.load import load_tuned
from studio.engine.stream import create, prepare
from studio.engine.stream.blocks import Blocks, are_products
from studio.engine.stream.chance import Chance
from studio.engine.stream.inputs import Inputs
from studio.engine.stream.schemes import SCHEMES
from studio.engine.stream.store import Store
from studio.engine.stream.vertical import Vertical
from studio.errors import UserError
from studio.export.merge import open_tensors
from studio.export.tensors import FolderTensors
from studio.machine.drive_file import DriveFile, drive_error
from studio.models.store_layout import DESCRIPTION, read_layout
from studio.models.stored_weights import StoredWeights
from studio.project.journal import EventReader
from studio.project.runs import Run
from studio.protocol import commands, events
from studio.worker.training import train
from tests.helpers.small_run import assert_same_result, losses, make_run, start_worker, train_here


def _streamed(scheme: str = "C", clipping: str = "exact", **more: Any) -> dict[str, Any]:
    return {"key": "ssd_offload", "scheme": scheme, "clipping": clipping, "cache_gb": 0, **more}


def _norms(heard: list[events.Event]) -> list[float]:
    return [event.grad_norm for event in heard if isinstance(event, events.Step)]


@pytest.mark.slow
@pytest.mark.parametrize("graph_gb", [0, None])
def test_exact_scheme_is_full_fine_tuning_bit_for_bit(graph_gb: float | None, tmp_path: Path) -> None:
    """Over 100 steps with clipping and two micro-batches: losses, gradient lengths and weights."""
    settings = {"steps": 100, "accumulation": 2, "eval_every": 50}
    memory = make_run(tmp_path, method={"key": "full"}, name="memory", **settings)
    drive = make_run(tmp_path, method=_streamed(graph_gb=graph_gb), name="drive", **settings)
    expected, heard = train_here(memory), train_here(drive)
    assert losses(heard) == losses(expected)
    assert _norms(heard) == _norms(expected)
    assert_same_result(memory, drive)


class _AwayFromZero(torch.autograd.Function):
    """fp32 to bf16 with halves away from zero, as weights are kept on the drive (torch takes the even one)."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return (weight.view(torch.int32) + (1 << 15) >> 16).to(torch.int16).view(torch.bfloat16).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grads[0].float(), None


@pytest.mark.slow
def test_exact_scheme_in_bf16_is_full_fine_tuning_with_its_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model in memory rounds its fp32 weights as the store does; then all bits agree, over 100 steps."""
    monkeypatch.setattr(device, "emulates_bf16", lambda: False)
    run, wide = Blocks.run, []
    monkeypatch.setattr(Blocks, "run", lambda self, *given: wide.append(len(self._scratch)) or run(self, *given))
    settings = {"steps": 100, "eval_every": 100, "precision": "bf16"}
    heard = train_here(drive := make_run(tmp_path, method=_streamed(), name="drive", **settings))

    def forward(self: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
        if not torch.is_autocast_enabled("cpu"):  # the proofs before training
            return torch.nn.functional.linear(x, self.weight, self.bias)
        return torch.nn.functional.linear(x, _AwayFromZero.apply(self.weight, torch.bfloat16), self.bias)

    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    memory = make_run(tmp_path, method={"key": "full"}, name="memory", **settings)
    assert losses(train_here(memory)) == losses(heard)
    assert_same_result(memory, drive)
    assert wide and not any(wide)


def test_sixteen_bits_are_widened_where_the_processor_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arithmetic is fp32's on rounded weights, bit for bit over 30 steps."""
    monkeypatch.setattr(device, "emulates_bf16", lambda: True)
    settings = {"steps": 30, "eval_every": 15, "accumulation": 2}
    heard = train_here(drive := make_run(tmp_path, method=_streamed(), name="drive", precision="bf16", **settings))

    def forward(self: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, _AwayFromZero.apply(self.weight, torch.float32), self.bias)

    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    memory = make_run(tmp_path, method={"key": "full"}, name="memory", **settings)
    assert losses(train_here(memory)) == losses(heard)
    assert_same_result(memory, drive)


@pytest.mark.parametrize(("family", "key"), [("llama", "ssd_offload"), ("gpt2", "ssd_offload"), ("qwen3", "lora")])
def test_kept_graphs_change_nothing_but_what_is_computed(
    family: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of no layer, of one, of all: with dropout, two micro-batches and turns."""
    ran: list[int] = []
    sizes: list[int] = []
    run, size = Blocks.run, Vertical._size

    def note(self: Vertical, *given: Any) -> int:
        sizes.append(size(self, *given))
        return sizes[-1]

    monkeypatch.setattr(Blocks, "run", lambda *given: ran.append(given[1]) or run(*given))
    monkeypatch.setattr(Vertical, "_size", note)
    own = {"placement": "drive", "dropout": 0.1} if key == "lora" else {"learners": "drawn", "interval": 2}
    settings = {"family": family, "steps": 6, "accumulation": 2, "eval_every": 100}

    def trained(name: str, graph_gb: float | None) -> tuple[Run, list[float], int]:
        ran.clear(), sizes.clear()
        method = {"key": key, "cache_gb": 0, "graph_gb": graph_gb, **own}
        made = make_run(tmp_path, method=method, name=name, **settings)
        return made, losses(train_here(made)), len(ran)

    every, expected, least = trained("every", None)
    one = 1.2 * max(sizes) / 1e9
    some, heard, fewer = trained("one", one)
    assert heard == expected and sizes
    assert_same_result(every, some)
    none, heard, most = trained("none", 0)
    assert heard == expected and not sizes
    assert_same_result(every, none)
    assert least < fewer < most


@pytest.mark.parametrize(("key", "precision"), [("ssd_offload", "fp32"), ("lora", "bf16")])
def test_inputs_that_wait_on_the_drive_change_nothing(
    key: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With rows that grow longer from step to step; what passes is what was put, and the file goes with the run."""
    put: list[int] = []
    keep, seen = Inputs.put, []

    def note(self: Inputs, at: int, given: list[torch.Tensor]) -> None:
        keep(self, at, given)
        put.append(sum(tensor.nbytes for tensor in given))
        seen.append(self._path.is_file())

    monkeypatch.setattr(Inputs, "put", note)
    method = {"key": key, "cache_gb": 0, "graph_gb": 0} | ({"placement": "drive"} if key == "lora" else {})
    settings = {"steps": 6, "accumulation": 2, "batch_size": 1, "eval_every": 100, "precision": precision}
    runs = {}
    for place in ("device", "ram", "drive"):
        put.clear(), seen.clear()
        made = make_run(tmp_path, method={**method, "layer_inputs": place}, name=place, **settings)
        runs[place] = made, losses(train_here(made)), list(put)
        assert set(seen) == {place == "drive"}
        assert not list(made.folder.rglob("inputs.bin"))
    assert len(set(runs["drive"][2])) > 2
    for place in ("ram", "drive"):
        assert runs[place][1:] == runs["device"][1:]
        assert_same_result(runs[place][0], runs["device"][0])


def test_a_drive_that_runs_full_of_inputs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_run(tmp_path, method=_streamed(layer_inputs="drive", graph_gb=0), steps=6, checkpoint_every=1)

    def full(*_: Any) -> None:
        raise drive_error(OSError(errno.ENOSPC, "full"), made.folder / "store" / "inputs.bin")

    heard: list[events.Event] = []

    def poll() -> list[commands.Command]:
        if len(losses(heard)) == 2:
            monkeypatch.setattr(DriveFile, "write", full)
        return []

    with pytest.raises(UserError, match="is full"):
        train(made, heard.append, poll, resume=False)
    monkeypatch.undo()
    assert not list(made.folder.rglob("inputs.bin"))
    assert losses(heard) + losses(train_here(made, resume=True)) == losses(
        train_here(make_run(tmp_path, method=_streamed(), name="straight", steps=6))
    )


@pytest.mark.parametrize(
    ("family", "clipping", "accumulation"), [("llama", "layer", 1), ("qwen2", "layer", 2), ("gpt2", "exact", 2)]
)
def test_a_layer_learns_in_pieces_what_it_learns_whole(
    family: str, clipping: str, accumulation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole is how runs of earlier versions lie on the drive; one begun so goes on so."""
    settings = {"family": family, "steps": 6, "accumulation": accumulation, "eval_every": 3}
    pieces = make_run(tmp_path, method=_streamed(clipping=clipping), name="pieces", **settings)
    whole = make_run(tmp_path, method=_streamed(clipping=clipping), name="whole", **settings)
    expected = losses(train_here(pieces))
    heard: list[events.Event] = []

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(heard)) == 3 else []

    monkeypatch.setattr(prepare, "are_products", lambda layer: False)
    train(whole, heard.append, poll, resume=False)
    monkeypatch.undo()
    assert losses(heard) + losses(train_here(whole, resume=True)) == expected
    assert_same_result(pieces, whole)
    many, few = (read_layout(run.folder / "store").layers for run in (pieces, whole))
    assert all(len(units) == 1 for units in few) and all(len(units) > 2 for units in many)


def test_a_layer_whose_matrices_are_not_all_products_comes_whole() -> None:
    plain = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
    assert are_products(plain)
    assert not are_products(torch.nn.Sequential(plain, torch.nn.Embedding(4, 4)))


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "mistral", "gemma2", "gemma3", "phi3"])
def test_families(family: str, tmp_path: Path) -> None:
    """Tied ends, windows by layer, biases, capped scores: all as in memory."""
    memory = make_run(tmp_path, method={"key": "full"}, name="memory", family=family, steps=4)
    drive = make_run(tmp_path, method=_streamed(), name="drive", family=family, steps=4)
    assert losses(train_here(drive)) == losses(train_here(memory))
    assert_same_result(memory, drive)


@pytest.mark.parametrize("clipping", ["exact", "previous", "layer"])
@pytest.mark.parametrize("family", ["mixtral", "deepseek_v3", "gpt_oss", "lfm2_moe", "ernie4_5_moe", "qwen3_next"])
def test_mixtures(family: str, clipping: str, tmp_path: Path) -> None:
    """Experts that lie alone in the files, or all in one, and what chooses between them: all as in memory."""
    clip = 1.0 if clipping == "exact" else 0.0
    settings = {"family": family, "steps": 4, "accumulation": 2 if family == "mixtral" else 1, "clip_norm": clip}
    memory = make_run(tmp_path, method={"key": "full"}, name="memory", **settings)
    drive = make_run(tmp_path, method=_streamed(clipping=clipping), name="drive", **settings)
    assert losses(train_here(drive)) == losses(train_here(memory))
    assert_same_result(memory, drive)
    tensors, result = open_tensors(tmp_path / family, drive.weights(4)), FolderTensors(drive.result_dir)
    assert set(tensors.headers) == set(result.headers)
    assert all(torch.equal(tensors.load(name), result.load(name)) for name in tensors.headers)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2"])
@pytest.mark.parametrize("clipping", ["exact", "layer"])
def test_ends_in_tiles_learn_the_same(
    family: str, precision: str, clipping: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embedding and head, tied or not, with capped logits or not: as when they are held in memory."""
    settings = {"steps": 6, "family": family, "precision": precision, "accumulation": 2, "clip_norm": 0.0}
    if clipping == "exact":
        settings["clip_norm"] = 1.0
    held = make_run(tmp_path, method=_streamed("C", clipping), name="held", **settings)
    expected = losses(train_here(held))
    monkeypatch.setattr(prepare, "HELD_NUMBERS", 0)
    monkeypatch.setattr(prepare, "TILE", 1 << 13)
    tiled = make_run(tmp_path, method=_streamed("C", clipping), name="tiled", **settings)
    heard = train_here(tiled)
    assert losses(heard) == pytest.approx(expected, abs=2e-5 if precision == "fp32" else 5e-3)
    assert [e for e in heard if isinstance(e, events.Eval)][-1].loss == pytest.approx(expected[-1], abs=1.0)


def test_tiled_ends_go_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "HELD_NUMBERS", 0)
    monkeypatch.setattr(prepare, "TILE", 1 << 13)
    for scheme in SCHEMES:
        test_goes_on_exactly(scheme, "previous", tmp_path / scheme)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["D", "E", "F"])
def test_shorter_state_stays_close(scheme: str, tmp_path: Path) -> None:
    """Within 2e-3 of the exact scheme's loss after 200 steps."""
    settings = {"steps": 200, "eval_every": 200, "learning_rate": 1e-3}
    exact = make_run(tmp_path, method=_streamed("C"), name="exact", **settings)
    short = make_run(tmp_path, method=_streamed(scheme), name="short", **settings)
    a, b = losses(train_here(exact)), losses(train_here(short))
    assert b[-1] == pytest.approx(a[-1], abs=2e-3)


def test_drops_out_the_same_when_computed_anew() -> None:
    chance = Chance(torch.device("cpu"))
    first = torch.rand(5)
    with chance.again():
        assert torch.equal(torch.rand(5), first)
    assert not torch.equal(torch.rand(5), first)


def test_a_family_with_dropout_and_positions_learns(tmp_path: Path) -> None:
    heard = train_here(make_run(tmp_path, method=_streamed("E", "previous"), family="gpt2"))
    assert losses(heard)[-1] < losses(heard)[0] - 1


@pytest.mark.parametrize("clipping", ["exact", "previous", "layer"])
@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_goes_on_exactly(scheme: str, clipping: str, tmp_path: Path) -> None:
    method = _streamed(scheme, clipping)
    settings = {"steps": 6, "precision": "bf16"}
    straight = make_run(tmp_path, method=method, name="straight", **settings)
    heard = train_here(straight)
    paused = make_run(tmp_path, method=method, name="paused", **settings)
    first: list[events.Event] = []

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(first)) == 3 else []

    assert train(paused, first.append, poll, resume=False).reason == "paused"
    assert losses(first) + losses(train_here(paused, resume=True)) == losses(heard)
    assert_same_result(straight, paused)


@pytest.mark.slow
def test_killed_at_any_moment_goes_on_at_the_exact_step(tmp_path: Path) -> None:
    settings = {"steps": 40, "eval_every": 40}
    straight = make_run(tmp_path, method=_streamed("E", "previous"), name="straight", **settings)
    train_here(straight)
    killed = make_run(tmp_path, method=_streamed("E", "previous"), name="killed", **settings)
    draw = random.Random(0)
    for number in range(4):
        reader = EventReader(killed.events_path, killed.events_path.stat().st_size if number else 0)
        worker = start_worker(killed, resume=number > 0)
        seen: list[events.Event] = []
        while worker.poll() is None and sum(isinstance(event, events.Step) for event in seen) < 5:
            seen += reader.poll()
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.1))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert start_worker(killed, resume=True).wait() == 0
    assert_same_result(straight, killed)


def _untied(folder: Path, **train: Any) -> tuple[Run, list[events.Event]]:
    run = make_run(folder, method=_streamed("D", "layer"), **{"precision": "bf16", "samples": 0, **train})
    return run, train_here(run)


def test_accumulation_reads_weights_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight micro-batches move what one does."""
    from studio.engine.stream.driver import StreamDriver

    moved: list[tuple[int, int]] = []
    close = StreamDriver.close

    def noted(driver: StreamDriver) -> None:
        counts = driver.store.traffic.counts
        moved.append((counts.read, counts.written))
        close(driver)

    monkeypatch.setattr(StreamDriver, "close", noted)
    for number, accumulation in enumerate((1, 8)):
        _untied(tmp_path, name=f"a{number}", accumulation=accumulation, steps=2, eval_every=2)
    (read, written), (read8, written8) = moved
    assert written8 == written and read8 == pytest.approx(read, rel=0.05)


@pytest.mark.parametrize(("precision", "is_slow"), [("fp32", False), ("fp32", True), ("bf16", False)])
def test_state_in_memory_changes_nothing_but_what_is_read(
    precision: str, is_slow: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for all, a step reads the ends' weights alone and writes what it would; one goes on from the drive.

    A drive that is slow to write leaves no room to read ahead.
    """
    if is_slow:
        monkeypatch.setattr(Store, "leaving_bytes", lambda store: 1 << 40)
    from studio.engine.stream.driver import StreamDriver

    steps: dict[str, list[tuple[int, int]]] = {}
    before = StreamDriver.before_step

    def noted(driver: StreamDriver, number: int, rows: Any) -> None:
        counts = driver.store.traffic.counts
        steps.setdefault(driver.store.folder.parent.name, []).append((counts.read, counts.written))
        before(driver, number, rows)

    monkeypatch.setattr(StreamDriver, "before_step", noted)
    settings = {"steps": 6, "eval_every": 6, "precision": precision, "samples": 0}
    runs = {
        name: make_run(tmp_path, method=_streamed("E", "previous", cache_gb=room), name=name, **settings)
        for name, room in (("drive", 0), ("held", 1), ("paused", 1))
    }
    expected = losses(train_here(runs["drive"]))
    assert losses(train_here(runs["held"])) == expected
    first: list[events.Event] = []

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(first)) == 4 else []

    train(runs["paused"], first.append, poll, resume=False)
    assert losses(first) + losses(train_here(runs["paused"], resume=True)) == expected
    for run in (runs["held"], runs["paused"]):
        assert_same_result(runs["drive"], run)
    (read, written), (later, more) = (
        (b[0] - a[0], b[1] - a[1]) for a, b in (steps[name][3:5] for name in ("drive", "held"))
    )
    assert more == written > 0
    units = read_layout(runs["held"].folder / "store").units
    assert later == sum(unit.weight_bytes for unit in units if not unit.name.startswith("layer")) < 0.2 * read


def test_a_store_of_another_model_is_refused(tmp_path: Path) -> None:
    run, _ = _untied(tmp_path, steps=2)
    description = run.folder / "store" / DESCRIPTION
    values = json.loads(description.read_text())
    description.write_text(json.dumps({**values, "model": "another"}))
    with pytest.raises(UserError, match="another model"):
        train_here(run, resume=True)
    description.write_text(json.dumps({**values, "version": 99}))
    with pytest.raises(UserError, match="another version"):
        train_here(run, resume=True)


def test_two_runs_on_one_store_are_refused(tmp_path: Path) -> None:
    from filelock import FileLock

    run, _ = _untied(tmp_path, steps=2)
    with FileLock(run.folder / "store" / ".lock"), pytest.raises(UserError, match="Another run"):
        train_here(run, resume=True)


def test_no_room_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = create.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(create.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match="are free"):
        _untied(tmp_path, steps=2)


def test_a_store_gives_its_numbers_back(tmp_path: Path) -> None:
    """What a fresh store holds is the base, to the bit."""
    run, _ = _untied(tmp_path, steps=1)
    base, layout = FolderTensors(tmp_path / "llama"), read_layout(run.folder / "store")
    stored = StoredWeights(run.folder / "store", run.folder, layout, [0] * len(layout.units))
    for name, (at, tensor) in stored.matrices().items():
        assert torch.equal(stored.load(at, tensor), base.load(name).float())


def test_a_checkpoint_is_read_and_exported_straight_from_the_store(tmp_path: Path) -> None:
    """What its slots mean is the result, for export and for chat."""
    run, _ = _untied(tmp_path, steps=3)
    weights, base = run.weights(3), tmp_path / "llama"
    tensors, result = open_tensors(base, weights), FolderTensors(run.result_dir)
    assert set(tensors.headers) == set(result.headers)
    assert all(torch.equal(tensors.load(name), result.load(name)) for name in tensors.headers)
    state = load_tuned(base, weights, dtype="float32").state_dict()
    assert all(torch.equal(state[name], result.load(name)) for name in result.headers)


def test_a_slow_drive_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create, "_JUDGED_BYTES", 0)
    monkeypatch.setattr(create, "_SLOW", 1e15)
    _, heard = _untied(tmp_path, steps=1)
    assert any(isinstance(event, events.Notice) and "a second" in event.text for event in heard)
