"""A streamed run whose weights are shared out between drives: the same numbers, and nothing left behind or mixed up."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from studio.errors import UserError
from studio.machine.other_drives import VARIABLE, other_drives
from studio.models.spread import parts_of
from studio.models.store_layout import read_layout
from studio.project import run_keeping
from studio.project.runs import Run
from studio.protocol import commands, events
from studio.worker.training import train
from tests.helpers.small_run import assert_same_result, losses, make_run, train_here

_MEMORY = Path("/dev/shm")
METHOD: dict[str, Any] = {"key": "ssd_offload", "scheme": "E", "cache_gb": 0}


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on another file system, named as a further drive."""
    if not _MEMORY.is_dir() or _MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this computer has one file system only")
    with TemporaryDirectory(dir=_MEMORY) as name:
        monkeypatch.setenv(VARIABLE, name)
        yield Path(name)


def _paused(folder: Path, name: str, steps: int) -> tuple[Run, list[float]]:
    made, heard = make_run(folder, method=METHOD, name=name, steps=8), list[events.Event]()

    def poll() -> list[commands.Command]:
        return [commands.Pause()] if len(losses(heard)) == steps else []

    train(made, heard.append, poll, resume=False)
    return made, losses(heard)


def test_drives_share_a_run_and_change_nothing(other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, before = _paused(tmp_path, "shared", 4)
    layout = read_layout(shared.folder / "store")
    (part,) = parts_of(shared.folder / "store")
    away = sum(2 * layout.slot_bytes(unit) for unit in layout.units if unit.folder)
    assert part.parent == other and {path.name for path in part.glob("*.bin")} == {
        f"{unit.name}.bin" for unit in layout.units if unit.folder
    }
    assert 0.3 < away / layout.total_bytes < 0.7
    assert run_keeping.measure(shared).total > run_keeping.folder_bytes(shared.folder) + away
    monkeypatch.delenv(VARIABLE)  # it goes on where it lies
    before += losses(train_here(shared, resume=True))
    straight = make_run(tmp_path, method=METHOD, name="straight", steps=8)
    assert before == losses(train_here(straight))
    assert_same_result(straight, shared)
    run_keeping.delete_run(shared)
    assert not part.exists() and other.is_dir()


def test_a_copy_is_told_apart_from_a_run_that_was_moved(other: Path, tmp_path: Path) -> None:
    run, heard = _paused(tmp_path, "here", 4)
    copy = Run(run.folder.with_name("copy"))
    shutil.copytree(run.folder, copy.folder)
    with pytest.raises(UserError, match="is a copy of it"):
        train_here(copy, resume=True)
    assert parts_of(copy.folder / "store") == []
    run_keeping.delete_run(copy)
    moved = Run(run.folder.rename(run.folder.with_name("moved")))
    assert len(losses(train_here(moved, resume=True))) == 8 - len(heard)
    assert parts_of(moved.folder / "store")


def test_a_drive_that_was_taken_out_is_named(other: Path, tmp_path: Path) -> None:
    run, _ = _paused(tmp_path, "here", 4)
    (part,) = parts_of(run.folder / "store")
    part.rename(aside := other / "aside")
    with pytest.raises(UserError, match=f"lies in {part}, which is not there"):
        train_here(run, resume=True)
    aside.rename(part)
    (run.folder / "store" / "drives.json").write_bytes(b"\xff[1,")
    assert run_keeping.measure(run).total > 0
    assert losses(train_here(run, resume=True))


def test_a_folder_that_cannot_be_used_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
    run = make_run(tmp_path, method=METHOD, steps=2)
    with pytest.raises(UserError, match="nothing can be written there"):
        train_here(run)
    assert not (run.folder / "store").exists()


def test_a_folder_on_the_same_drive_is_no_further_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "near").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "near"))
    assert other_drives(tmp_path / "not-there-yet") == []
