"""The drive is measured, and what goes wrong with it is said."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from studio.errors import UserError
from studio.machine.drive import DriveSpeeds, measure_drive
from studio.machine.drive_file import DriveFile, drive_error, make_file


def test_speeds_are_measured_and_nothing_is_left(tmp_path: Path) -> None:
    speeds = measure_drive(tmp_path, size=32 << 20)
    assert min(speeds.read, speeds.write, speeds.both) > 0
    assert not list(tmp_path.iterdir())


def test_least_time_takes_the_faster_way() -> None:
    half = DriveSpeeds(read=2e9, write=1e9, both=1e9, is_direct=True)
    assert half.seconds(4e9, 2e9) == pytest.approx(4.0)
    full = DriveSpeeds(read=2e9, write=2e9, both=4e9, is_direct=True)
    assert full.seconds(4e9, 4e9) == pytest.approx(2.0)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    import mmap

    make_file(tmp_path / "f", 8192)
    file = DriveFile(tmp_path / "f")
    piece = mmap.mmap(-1, 4096)
    piece[:] = bytes(range(256)) * 16
    file.write(memoryview(piece), 4096)
    file.flush()
    found = mmap.mmap(-1, 4096)
    file.read(memoryview(found), 4096)
    assert found[:] == piece[:]
    with pytest.raises(UserError, match="failed"):
        file.read(memoryview(found), 8192)
    file.close()


def test_a_full_drive_and_a_lost_one_are_told_apart() -> None:
    assert "is full" in str(drive_error(OSError(errno.ENOSPC, "No space left"), Path("a/b")))
    assert "connected" in str(drive_error(OSError(errno.EIO, "Input/output error"), Path("a/b")))
