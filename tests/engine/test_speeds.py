"""Speeds are measured and remembered by the job; a finished run teaches about its computer."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil
import pytest
import torch

from studio.engine import speeds
from studio.machine.bench import remembered_habits, remembered_speeds
from studio.machine.priority import NICENESS
from studio.machine.resources import read_resources
from studio.project.jobs import run_to_result
from studio.worker.lessons import peak_bytes
from tests.helpers.small_run import make_run, start_worker


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))


def test_every_figure_is_a_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_SECONDS", 0.01), ("_CPU_SIZE", 128), ("_COPIED", 1 << 20), ("_FILE", 1 << 25)):
        monkeypatch.setattr(speeds, name, value)
    found = speeds.measure_speeds(tmp_path)
    figures = [*found.matmul.values(), *found.memory.values(), found.disk_read, found.disk_write, found.disk_both]
    assert set(found.matmul) >= {"cpu fp32", "cpu bf16"}
    assert min(figures) > 1e6
    assert not [path for path in tmp_path.iterdir() if path.name != "home"]


@pytest.mark.slow
def test_the_job_remembers(tmp_path: Path) -> None:
    said = run_to_result("speeds", {})
    found = remembered_speeds(read_resources(tmp_path))
    assert found is not None and found.matmul == said["matmul"]


def test_a_finished_run_teaches(tmp_path: Path) -> None:
    worker, levels = start_worker(make_run(tmp_path)), set()
    while worker.poll() is None:
        with contextlib.suppress(psutil.Error):
            levels.add(psutil.Process(worker.pid).nice())
        time.sleep(0.05)
    assert worker.returncode == 0
    # It goes behind the window, since it has no card to feed.
    assert max(levels) == max(NICENESS, psutil.Process().nice())
    assert remembered_habits(read_resources(tmp_path)).extra_bytes["cpu"] > 0


def test_a_short_run_teaches_nothing(tmp_path: Path) -> None:
    assert start_worker(make_run(tmp_path, steps=4)).wait(120) == 0
    assert remembered_habits(read_resources(tmp_path)).extra_bytes == {}


def test_the_peak_is_this_process() -> None:
    before = peak_bytes(torch.device("cpu"))
    block = torch.ones(64 << 20, dtype=torch.uint8)
    assert peak_bytes(torch.device("cpu")) >= before
    assert before > 50_000_000 and block.numel()
