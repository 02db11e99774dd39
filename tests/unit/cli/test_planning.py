"""`tunesmith plan` on the bundled starter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.cli import run
from studio.errors import UserError
from studio.methods import METHODS
from studio.paths import resources_dir
from studio.planner.row_sample import SAMPLE
from studio.sizes import parse_bytes


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project on the starter."""
    folder = tmp_path / "p"
    rows = resources_dir() / "starter" / "data" / "voice.jsonl"
    assert run(["init", str(folder), "--model", "starter", "--data", str(rows)]) == 0
    return folder


def test_json_holds_every_method_in_bytes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["plan", str(project), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said["methods"]) == set(METHODS.all())
    assert said["chosen"] == "lora" and said["ladder"] == []
    lora = said["methods"]["lora"]
    assert lora["peak_bytes"] == sum(lora["memory"].values())
    assert said["rows"]["count"] < SAMPLE and lora["steps"] > 0


def test_a_budget_brings_a_ladder(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["--set", "train.batch_size=16"]
    capsys.readouterr()
    assert run(["plan", str(project), "--json", *sets]) == 0
    peak = json.loads(capsys.readouterr().out)["methods"]["lora"]["peak_bytes"]
    assert run(["plan", str(project), "--json", "--budget", str(peak - 1_000_000), *sets]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["limit_bytes"] == peak - 1_000_000
    assert said["methods"]["lora"]["verdict"] == "short"
    assert said["ladder"][0]["settings"] == ["train.batch_size=8", "train.accumulation=2"]


def test_a_table_for_people(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["plan", str(project), "--budget", "1MB"]) == 0
    said = capsys.readouterr().out
    assert "* lora" in said and "missing" in said and "To make it fit" in said


def test_a_budget_that_is_no_size(project: Path) -> None:
    assert run(["plan", str(project), "--budget", "much"]) == 2


def test_sizes() -> None:
    assert [parse_bytes(text) for text in ("8GB", "7.5 gb", "16GiB", "512", "1m")] == [
        8 * 10**9,
        7_500_000_000,
        16 * 2**30,
        512,
        10**6,
    ]
    with pytest.raises(UserError):
        parse_bytes("8 apples")
