"""What is remembered of this computer, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from studio.machine import bench, probes
from studio.machine.bench import Speeds
from studio.planner.calculation import PROCESS_BYTES
from studio.planner.forecast import forecast
from studio.planner.machine import machine_of
from tests.unit.planner.samples import LLAMA_3B, facts, machine, spec

HERE = machine().resources


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path))


def test_speeds_come_back_on_the_same_hardware_only() -> None:
    assert bench.remembered_speeds(HERE) is None
    found = Speeds({"cpu fp32": 1e11}, {"cpu": 1e10}, 0.0, 1e9, 1e9)
    bench.remember_speeds(HERE, found)
    assert bench.remembered_speeds(HERE) == found
    assert bench.remembered_speeds(replace(HERE, cpu_name="another")) is None


def test_speeds_bring_times() -> None:
    known = facts(LLAMA_3B)
    draft = spec("train.steps=100", "train.precision=fp32")
    assert forecast(draft, known, machine_of(HERE)).run_seconds is None
    bench.remember_speeds(HERE, Speeds({"cpu fp32": 1e12}, {"cpu": 1e11}))
    said = forecast(draft, known, machine_of(HERE))
    assert said.step_seconds and said.run_seconds == pytest.approx(100 * said.step_seconds)
    # 4,096 tokens of 3.2 billion weights forward and back to the adapters, at 65 % of the product's speed.
    assert said.step_seconds == pytest.approx(4096 * 4 * 3.2e9 / 0.65e12, rel=0.15)


def test_finished_runs_move_the_overhead_and_the_pace() -> None:
    known, draft = facts(LLAMA_3B), spec("train.steps=100", "train.precision=fp32")
    bench.remember_speeds(HERE, Speeds({"cpu fp32": 1e12}, {"cpu": 1e11}))
    before = forecast(draft, known, machine_of(HERE))
    for extra in (800_000_000, 900_000_000, 5_000_000_000):
        bench.remember_run(HERE, "cpu", extra_bytes=extra, pace=2.0)
    after = forecast(draft, known, machine_of(HERE))
    assert after.memory["other"] - before.memory["other"] == 900_000_000 - PROCESS_BYTES
    assert after.step_seconds == pytest.approx(2 * (before.step_seconds or 0))


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"version": 99}', '{"version": 1, "speeds": 3, "runs": 7}'])
def test_a_damaged_memory_is_no_memory(text: str) -> None:
    bench._path().write_text(text, encoding="utf-8")
    assert bench.remembered_speeds(HERE) is None
    assert bench.remembered_habits(HERE).extra_bytes == {}
    bench.remember_run(HERE, "cpu", extra_bytes=5, pace=None)
    assert bench.remembered_habits(HERE).extra_bytes == {"cpu": 5}


def test_probes_are_kept_and_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_KEPT", 2)
    for name in ("a", "b", "c"):
        probes.remember_probe(name, {"weights": 1})
    assert list(probes.remembered_probes()) == ["b", "c"]
    probes._path().write_text("[1]", encoding="utf-8")
    assert probes.remembered_probes() == {}
