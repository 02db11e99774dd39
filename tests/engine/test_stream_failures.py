"""What can go wrong under a streamed run: drives, files, others who need the memory, a kill as a checkpoint flips."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.checkpoint import Checkpoints
from studio.engine.stream import store as stores
from studio.engine.stream.driver import StreamDriver
from studio.engine.stream.learner import Learner
from studio.engine.stream.residents import Smalls
from studio.errors import UserError
from studio.machine import drive_file
from studio.machine.drive_file import DriveFile, make_file
from studio.project.runs import Run
from studio.protocol import commands, events
from studio.worker.training import train
from tests.helpers.small_run import assert_same_result, losses, make_run, train_here


def _run(
    folder: Path,
    name: str,
    *,
    scheme: str = "E",
    clipping: str = "previous",
    cache_gb: float = 0,
    family: str = "llama",
    precision: str = "bf16",
) -> Run:
    method = {"key": "ssd_offload", "scheme": scheme, "clipping": clipping, "cache_gb": cache_gb}
    return make_run(folder, method=method, name=name, family=family, precision=precision, steps=6, eval_every=6)


def _fail_then_resume(folder: Path, monkeypatch: pytest.MonkeyPatch, match: str, **options: Any) -> None:
    """A run that fails says why, and resumed it ends as if nothing had been."""
    straight, failing = _run(folder, "straight", **options), _run(folder, "failing", **options)
    expected = losses(train_here(straight))
    heard: list[events.Event] = []
    with pytest.raises(UserError, match=match):
        train(failing, heard.append, list, resume=False)
    monkeypatch.undo()
    newest = Checkpoints(failing.folder / "checkpoints", keep=1).newest()
    begun = int(newest.name) if newest else 0
    assert begun == len(losses(heard)) > 0
    assert losses(heard) + losses(train_here(failing, resume=True)) == expected
    assert_same_result(straight, failing)


def _on_failing(monkeypatch: pytest.MonkeyPatch, act: Callable[[StreamDriver], None]) -> None:
    """Do something in the fourth step of the run that is to fail."""
    before = StreamDriver.before_step

    def begin(driver: StreamDriver, at: int, rows: Any) -> None:
        before(driver, at, rows)
        if at == 4 and driver.store.folder.parent.name == "failing":
            act(driver)

    monkeypatch.setattr(StreamDriver, "before_step", begin)


def _run_out_of_memory(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, calls: int) -> list[int]:
    """Once, after so many calls in the fourth step of the run that is to fail; the calls that are left."""
    work, left = getattr(owner, name), [10**9]

    def failing_once(*given: Any) -> None:
        work(*given)
        left[0] -= 1
        if left[0] == 0:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    def soon(driver: StreamDriver) -> None:
        left[0] = calls

    monkeypatch.setattr(owner, name, failing_once)
    _on_failing(monkeypatch, soon)
    return left


@pytest.mark.parametrize("family", ["llama", "qwen3_moe"])
@pytest.mark.parametrize("clipping", ["previous", "exact"])
def test_a_drive_that_runs_full_in_a_step(
    clipping: str, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with file systems that write to new places: space that was taken beforehand is no promise there."""
    write, left = DriveFile._write, [10**9]

    def full(file: DriveFile, data: memoryview, offset: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data, offset)

    def soon(driver: StreamDriver) -> None:
        left[0] = 3

    monkeypatch.setattr(DriveFile, "_write", full)
    _on_failing(monkeypatch, soon)
    _fail_then_resume(tmp_path, monkeypatch, "is full", clipping=clipping, family=family)


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are exchanged")
@pytest.mark.parametrize(("unit", "family"), [(0, "llama"), (-1, "llama"), (-1, "qwen3_moe")])
def test_a_drive_that_is_gone_in_a_step(
    unit: int, family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one moment to the next nothing of a file can be read or written."""

    def unplug(driver: StreamDriver) -> None:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, driver.store._files[unit]._descriptor)
        os.close(nothing)

    _on_failing(monkeypatch, unplug)
    _fail_then_resume(tmp_path, monkeypatch, "failed", family=family)


def test_a_file_that_was_cut_short_is_told_before_the_first_step(tmp_path: Path) -> None:
    run = _run(tmp_path, "cut")
    _pause_after(run, 2)
    path = run.folder / "store" / "layer-000-0.bin"
    size = path.stat().st_size
    os.truncate(path, size // 2)
    with pytest.raises(UserError, match=f"layer-000-0.bin holds {size // 2} of its {size} bytes"):
        train_here(run, resume=True)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    run = _run(tmp_path, "missing")
    _pause_after(run, 2)
    (run.folder / "store" / "layer-001-0.bin").unlink()
    with pytest.raises(UserError, match="failed"):
        train_here(run, resume=True)


def test_a_full_drive_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was already taken when there was no more is given back."""

    def refuse(descriptor: int, start: int, size: int) -> None:
        os.write(descriptor, b"begun")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(drive_file.os, "posix_fallocate", refuse, raising=False)
    with pytest.raises(UserError, match="is full"):
        make_file(tmp_path / "new.bin", 1 << 20)
    assert not (tmp_path / "new.bin").exists()


def test_cached_weights_are_given_back_when_memory_gets_scarce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program takes the memory in the third step: nothing stays cached, and nothing else changes."""
    without, scarce = _run(tmp_path, "without"), _run(tmp_path, "scarce", cache_gb=1)
    expected = train_here(without)
    spare, seen = [1 << 40], []
    monkeypatch.setattr(stores, "_spare_bytes", lambda: spare[0])

    def take(driver: StreamDriver, number: int, rows: Any) -> None:
        before(driver, number, rows)
        store = driver.store
        seen.append((len(store.cached), len(store.cached_records), store.pool.held_bytes))
        if number == 3:
            spare[0] = 0

    before = StreamDriver.before_step
    monkeypatch.setattr(StreamDriver, "before_step", take)
    assert losses(train_here(scarce)) == losses(expected)
    assert_same_result(without, scarce)
    layers, tiles, _ = seen[0]
    assert [count for count, _, _ in seen] == [layers] * 3 + [0] * 3 and layers > 1
    assert [count for _, count, _ in seen] == [tiles] * 3 + [0] * 3 and tiles > layers
    assert seen[-1][2] < seen[2][2]


@pytest.mark.parametrize("cache_gb", [0, 1])
@pytest.mark.parametrize(
    ("scheme", "clipping", "family"),
    [("C", "previous", "llama"), ("E", "exact", "llama"), ("I", "layer", "llama"), ("D", "previous", "qwen3_moe")],
)
def test_memory_that_runs_out_while_layers_learn(
    scheme: str, clipping: str, family: str, cache_gb: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some have learned, on the drive and in memory, and one has begun to: none of them learns twice."""
    straight, failing = (
        _run(tmp_path, name, scheme=scheme, clipping=clipping, cache_gb=cache_gb, family=family, precision="fp32")
        for name in ("straight", "failing")
    )
    expected = losses(train_here(straight))
    left = _run_out_of_memory(monkeypatch, Learner, "_learn_tile", calls=2)
    heard = train_here(failing)
    assert left[0] < 0
    assert any("2 pieces" in event.text for event in heard if isinstance(event, events.Notice))
    assert losses(heard) == pytest.approx(expected, rel=2e-4)


def test_memory_that_runs_out_as_the_last_of_a_step_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Norms have learned already, and of them memory has no other copy: the run stops, and can go on from before."""
    _run_out_of_memory(monkeypatch, Smalls, "learn", calls=3)
    _fail_then_resume(tmp_path, monkeypatch, "Memory ran out in step 4")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "qwen3_moe"])
def test_killed_at_any_point_of_the_flip_goes_on_at_an_exact_step(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's folder is kept as a kill would leave it at each thing that saving does to the file system."""
    straight, run = (_run(tmp_path, name, family=family) for name in ("straight", "flip"))
    expected = losses(train_here(straight))
    kept = _Kept(run.folder, tmp_path / "kept")
    save = Checkpoints.save

    def watched(checkpoints: Checkpoints, step: int, *rest: Any, **named: Any) -> Path:
        kept.is_watching = step == 3
        try:
            return save(checkpoints, step, *rest, **named)
        finally:
            kept.is_watching = False

    monkeypatch.setattr(Checkpoints, "save", watched)
    sys.addaudithook(kept.hear)
    _pause_after(run, 3)
    kept.is_watching = False
    monkeypatch.undo()
    assert len(kept.folders) > 8
    begun = set()
    for folder in kept.folders:
        shutil.rmtree(run.folder)
        shutil.copytree(folder, run.folder)
        found = losses(train_here(run, resume=True))
        begun.add(len(found))
        assert found == expected[-len(found) :]
        assert_same_result(straight, run)
    assert begun == {3, 4}, "from the checkpoint before, or from the new one"


class _Kept:
    """Copies of a folder, one before each change that this thread makes to the file system while `is_watching`."""

    _CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}

    def __init__(self, folder: Path, into: Path) -> None:
        self._folder, self._into = folder, into
        self.is_watching, self._thread = False, threading.get_ident()
        self.folders: list[Path] = []

    def hear(self, event: str, _: Any) -> None:
        if self.is_watching and event in self._CHANGES and threading.get_ident() == self._thread:
            self.is_watching = False
            target = self._into / f"{len(self.folders):03d}"
            shutil.copytree(self._folder, target)
            self.folders.append(target)
            self.is_watching = True


def _pause_after(run: Run, steps: int) -> None:
    heard: list[events.Event] = []

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(heard)) == steps else []

    assert train(run, heard.append, poll, resume=False).reason == "paused"
