"""Adapters on a base that streams from the drive: the losses and weights of a base in memory, and nothing written."""

from __future__ import annotations

import errno
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from studio.engine.prepared import Base
from studio.engine.stream import frozen, prepare
from studio.engine.stream.blocks import Blocks
from studio.engine.stream.four_bits import Unpacker, empty_layer, pack
from studio.errors import Cancelled, UserError
from studio.machine.drive_file import DriveFile
from studio.methods import METHODS
from studio.models.streamed_copies import copies_dir, delete_copy, streamed_copies
from studio.paths import cache_dir
from studio.project.runs import Run
from studio.protocol import commands, events
from tests.helpers.small_run import assert_same_result, losses, make_run, result_tensors, train_here
from tests.helpers.toy_models import make_toy


def _method(key: str, placement: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "placement": placement, "cache_gb": 0, **more}


def _both(
    tmp_path: Path, key: str, more: dict[str, Any] | None = None, **settings: Any
) -> tuple[Run, list[float], Run, list[float]]:
    more = more or {}
    memory = make_run(tmp_path, method=_method(key, "memory", **more), name="memory", **settings)
    drive = make_run(tmp_path, method=_method(key, "drive", **more), name="drive", **settings)
    return memory, losses(train_here(memory)), drive, losses(train_here(drive))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("key", ["lora", "qlora"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "gpt2"])
def test_equals_a_base_in_memory(family: str, key: str, precision: str, tmp_path: Path) -> None:
    """One micro-batch a step: the same operations in the same order, so the same bits."""
    memory, expected, drive, heard = _both(tmp_path, key, family=family, precision=precision, steps=6)
    assert heard == pytest.approx(expected, abs=1e-6 if precision == "fp32" else 2e-3)
    if family == "llama" and precision == "fp32":
        assert heard == expected
        assert_same_result(memory, drive)


@pytest.mark.parametrize(("key", "more"), [("lora", {"graph_gb": 0}), ("lora", {"graph_gb": 1}), ("qlora", {})])
@pytest.mark.parametrize("family", ["llama", "gpt2"])  # gpt2's matrices are stored the other way round
def test_dora_equals_a_base_in_memory(family: str, key: str, more: dict[str, Any], tmp_path: Path) -> None:
    """Its lengths are those of a base that was never there as a whole."""
    more = {"dora": True, "rank": 4, **more}
    memory, expected, drive, heard = _both(tmp_path, key, more, family=family, steps=6, learning_rate=1e-2)
    assert heard == pytest.approx(expected, abs=1e-6) and expected[-1] < expected[0] - 0.05
    ours, theirs = result_tensors(drive), result_tensors(memory)
    assert any("magnitude" in name for name in theirs) and ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in theirs)


@pytest.mark.parametrize("key", ["lora", "qlora"])
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "o_proj", "kv_b_proj"]])
@pytest.mark.parametrize("family", ["qwen3_moe", "deepseek_v3", "lfm2_moe", "gpt_oss"])
def test_equals_a_mixture_in_memory(family: str, targets: Any, key: str, tmp_path: Path) -> None:
    """Experts come as the layer's other matrices do, of files where each lies alone, or all in one."""
    _, expected, _, heard = _both(tmp_path, key, family=family, steps=6, more={"targets": targets})
    assert heard == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("key", ["lora", "qlora"])
def test_several_micro_batches_add_up(key: str, tmp_path: Path) -> None:
    memory, expected, drive, heard = _both(tmp_path, key, accumulation=3, batch_size=2, steps=6)
    assert heard == pytest.approx(expected, abs=1e-6)
    a, b = result_tensors(memory), result_tensors(drive)
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


@pytest.mark.parametrize("key", ["lora", "qlora"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2"])
def test_ends_in_tiles_give_the_same_loss(
    family: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "HELD_NUMBERS", 0)
    monkeypatch.setattr(frozen, "TILE", 1 << 13)
    _, expected, _, heard = _both(tmp_path, key, family=family, steps=6, accumulation=2)
    assert heard == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("family", ["llama", "qwen3_moe"])
def test_with_adapters_off_it_is_the_base(family: str, tmp_path: Path) -> None:
    """What preference objectives compare with costs no second model."""
    folder = make_toy(tmp_path / family, family)
    base = Base(folder, "toy", torch.device("cpu"), "fp32", seed=0, activation_checkpointing=False)
    method = METHODS.get("lora")
    prepared = method.prepare(base, method.Params(placement="drive", cache_gb=0))
    ids = torch.arange(1, 9)[None]
    try:
        with torch.no_grad():
            expected = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(ids).logits
            for parameter in prepared.trainable().values():
                parameter.add_(0.1)
            changed = prepared.model(ids).logits
            with prepared.model.disable_adapter():
                found = prepared.model(ids).logits
    finally:
        prepared.close()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert (changed - expected).abs().max() > 0.1


def test_dora_on_a_convolution_that_does_not_stream_is_refused(tmp_path: Path) -> None:
    """With its base in memory it works."""
    folder = make_toy(tmp_path / "lfm2_moe", "lfm2_moe")
    base = Base(folder, "toy", torch.device("cpu"), "fp32", seed=0, activation_checkpointing=False)
    method, named = METHODS.get("lora"), {"dora": True, "rank": 64, "targets": ["q_proj", "conv.conv"]}
    trained = method.prepare(base, method.Params(placement="memory", **named)).trainable()
    assert any("conv.conv.lora_magnitude" in name for name in trained)
    with pytest.raises(UserError, match="linear layers only"):
        method.prepare(base, method.Params(placement="drive", cache_gb=0, **named))


def test_goes_on_exactly_from_the_same_shards(tmp_path: Path) -> None:
    method = _method("lora", "drive", dropout=0.1)
    straight = make_run(tmp_path, method=method, name="straight", steps=6)
    heard = train_here(straight)
    paused = make_run(tmp_path, method=method, name="paused", steps=6)
    first: list[events.Event] = []

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(first)) == 3 else []

    from studio.worker.training import train

    train(paused, first.append, poll, resume=False)
    made = {path: path.stat().st_mtime_ns for path in (cache_dir() / "shards").rglob("*.bin")}
    again = train_here(paused, resume=True)
    assert losses(first) + losses(again) == losses(heard)
    assert_same_result(straight, paused)
    assert made and made == {path: path.stat().st_mtime_ns for path in (cache_dir() / "shards").rglob("*.bin")}


def test_only_reads_and_as_much_as_the_formula_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the layers in 16 bits each step; no byte is written."""
    stores = []
    opened = frozen.Store

    def keep(*args: Any, **named: Any) -> Any:
        stores.append(opened(*args, **named))
        return stores[-1]

    monkeypatch.setattr(frozen, "Store", keep)
    run = make_run(tmp_path, method=_method("lora", "drive"), precision="bf16", steps=5, eval_every=100)
    before: list[int] = []

    def poll() -> list[commands.Command]:
        if stores:
            before.append(stores[0].traffic.counts.read)
        return []

    train_here(run, poll=poll)
    layers = sum(unit.weight_bytes for unit in stores[0].layout.units)
    steps = [b - a for a, b in pairwise(before)][:-1]  # the last one is evaluated as well
    # The lowest layer is still there when the next step begins, and the highest when the way down does.
    last = stores[0].layout.units[0].weight_bytes
    assert steps and all(2 * layers - 2 * last <= step <= 2 * layers for step in steps)
    assert stores[0].traffic.counts.written == 0


@pytest.mark.parametrize("method", [_method("lora", "drive"), {"key": "ssd_offload", "scheme": "C", "cache_gb": 0}])
def test_held_out_rows_are_measured_in_one_reading(
    method: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figure of a model in memory, with each layer bound once for all micro-batches."""
    key = "lora" if method["key"] == "lora" else "full"
    settings = {"steps": 1, "batch_size": 1, "eval_every": 1}
    expected = train_here(make_run(tmp_path, method={"key": key}, name="memory", **settings))
    bound: list[int] = []
    own = Blocks.bind

    def bind(self: Blocks, at: int, **named: Any) -> None:
        bound.append(at)
        own(self, at, **named)

    monkeypatch.setattr(Blocks, "bind", bind)
    heard = train_here(make_run(tmp_path, method=method, name="drive", **settings))
    first, last = ([e.loss for e in told if isinstance(e, events.Eval)] for told in (expected, heard))
    assert last == pytest.approx(first, abs=1e-6)
    assert len(bound) < 40  # proofs, two evaluations of six rows, one step: each row alone would bind twelve more


def test_a_piece_of_four_bits_is_what_the_library_makes() -> None:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    for shape in ((64, 48), (7, 64), (256, 520), (1100, 2001)):  # the last in two parts
        matrix = torch.randn(shape)
        packed, state = quantize_4bit(matrix, quant_type="nf4", compress_statistics=True)
        layer = empty_layer(torch.nn.Linear(shape[1], shape[0], bias=False), torch.float32, torch.device("cpu"))
        own = Unpacker(torch.float32, torch.device("cpu")).parameter(pack(matrix), layer)
        assert torch.equal(own.data, packed)
        assert torch.equal(dequantize_4bit(own.data, own.quant_state), dequantize_4bit(packed, state))


@pytest.mark.parametrize("method", [_method("lora", "drive"), {"key": "ssd_offload"}])
def test_laying_out_is_told_and_can_be_stopped(method: dict[str, Any], tmp_path: Path) -> None:
    """Counts in bytes that end at all of them; a stop in the middle leaves nothing half made."""
    shutil.rmtree(cache_dir() / "shards", ignore_errors=True)  # other tests lay out the same model
    heard = train_here(make_run(tmp_path, method=method, name="whole", steps=1))
    told = [e for e in heard if isinstance(e, events.Phase) and e.name.startswith("Laying out")]
    assert [e.unit for e in told] == ["bytes"] * len(told)
    assert [e.done for e in told] == sorted(e.done for e in told)
    assert told[0].done == 0 and told[-1].done == told[-1].total > 0
    shutil.rmtree(cache_dir() / "shards", ignore_errors=True)
    heard.clear()
    run = make_run(tmp_path, method=method, name="stopped", steps=1)

    def poll() -> list[commands.Command]:
        return [commands.Stop()] if any(isinstance(e, events.Phase) and e.done for e in layouts()) else []

    def layouts() -> list[events.Event]:
        return [e for e in heard if isinstance(e, events.Phase) and e.name.startswith("Laying out")]

    from studio.worker.training import train

    with pytest.raises(Cancelled):
        train(run, heard.append, poll, resume=False)
    assert not [path for folder in (cache_dir(), run.folder) for path in folder.rglob("store.json")]


def test_damaged_shards_are_made_again(tmp_path: Path) -> None:
    settings = {"method": _method("lora", "drive"), "steps": 2}
    expected = losses(train_here(make_run(tmp_path, name="first", **settings)))
    for path in (cache_dir() / "shards").rglob("layer-000.bin"):
        path.write_bytes(path.read_bytes()[:-4096])
    assert losses(train_here(make_run(tmp_path, name="second", **settings))) == expected


@pytest.mark.parametrize("unit", ["layer-001", "end-1"])
@pytest.mark.parametrize("key", ["lora", "qlora"])
def test_a_bit_that_the_drive_lost_is_told_and_put_right(
    key: str, unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a layer and of an end in tiles: the run says which file, and goes on from a copy that is made anew."""
    monkeypatch.setattr(prepare, "HELD_NUMBERS", 0)
    monkeypatch.setattr(frozen, "TILE", 1 << 13)
    shutil.rmtree(copies_dir(), ignore_errors=True)
    settings = {"method": _method(key, "drive"), "steps": 2, "precision": "bf16"}
    expected = losses(train_here(make_run(tmp_path, name="first", **settings)))
    (path,) = copies_dir().rglob(f"{unit}.bin")
    held = bytearray(path.read_bytes())
    held[20_001] ^= 4
    path.write_bytes(held)
    run = make_run(tmp_path, name="second", **settings)
    with pytest.raises(UserError, match=rf"{unit}\.bin is not what was written"):
        train_here(run)
    assert len(streamed_copies()) == 1
    assert losses(train_here(run, resume=True)) == expected


def test_a_streamed_copy_is_listed_with_its_name_and_made_again_after_it_was_deleted(tmp_path: Path) -> None:
    shutil.rmtree(copies_dir(), ignore_errors=True)
    settings = {"method": _method("qlora", "drive"), "steps": 2, "precision": "bf16"}
    expected = losses(train_here(make_run(tmp_path, name="first", **settings)))
    (copy,) = streamed_copies()
    assert (copy.name, copy.kind) == ("llama", "4-bit")
    assert copy.size_bytes == sum(path.stat().st_size for path in copy.folder.iterdir()) > 10_000
    assert delete_copy(copy) == copy.size_bytes
    assert streamed_copies() == [] and not list(copies_dir().glob("*/"))
    assert losses(train_here(make_run(tmp_path, name="second", **settings))) == expected
    assert len(streamed_copies()) == 1


def test_a_drive_that_runs_full_while_shards_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, nothing half made is left, and the run begins once there is room."""
    shutil.rmtree(copies_dir(), ignore_errors=True)
    left = 1

    def full(file: DriveFile, data: memoryview, offset: int) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(write(file, data, offset))

    write = DriveFile._write
    run = make_run(tmp_path, method=_method("lora", "drive"), steps=2)
    with monkeypatch.context() as patch:
        patch.setattr(DriveFile, "_write", full)
        with pytest.raises(UserError, match="is full"):
            train_here(run)
    assert left < 0 and not list(copies_dir().rglob("*.bin"))
    assert len(losses(train_here(run, resume=True))) == 2


def test_refuses_what_cannot_be_streamed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="inside its layers"):
        train_here(make_run(tmp_path, method=_method("lora", "drive", targets=["q_proj", "lm_head"]), name="head"))
