"""`tunesmith models`: what is here as a table and as JSON, a search, and deleting what came from the Hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.cli import run
from tests.unit.models.test_on_disk import make_cached


def test_models_are_listed_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    root = make_cached(tmp_path, "org/small")
    assert run(["models", "--json"]) == 0
    listed = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert listed["starter"]["kind"] == "starter" and listed["org/small"]["parameters"] == 250
    assert run(["models"]) == 0
    assert "org/small" in capsys.readouterr().out
    assert run(["models", "--delete", "org/small", "--yes"]) == 0
    assert not root.exists() and "freed" in capsys.readouterr().out


def test_a_search_offline_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--search", "small"]) == 2
    assert "offline mode is on" in capsys.readouterr().err


def test_a_goal_proposes_settings_that_set_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.project.folder import Project

    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"text": "hello"}\n')
    made = ["init", "new", "--model", "starter", "--data", "rows.jsonl", "--goal", "facts", "--set", "train.epochs=2"]
    assert run(made) == 0
    spec = Project.open(Path("new")).draft()
    assert spec.goal.kind == "facts" and spec.method.model_dump()["rank"] == 64 and spec.train.epochs == 2
