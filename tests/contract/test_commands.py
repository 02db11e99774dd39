"""The command line is a contract: its commands, its options, and exit code 2 with a sentence for wrong input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.cli import build, run

# DESIGN.md section 5. Growth is a deliberate change of this table; nothing may vanish from it.
COMMANDS = {
    "chat": {"--prompt"},
    "data": set(),
    "demo": {"--dir"},
    "doctor": {"--json"},
    "eval": {"--json"},
    "export": {"--to", "--quant", "--out"},
    "init": {"--model", "--data", "--method", "--goal", "--set"},
    "models": {"--search", "--delete", "--yes", "--json"},
    "pack": set(),
    "pause": set(),
    "plan": {"--json", "--budget", "--exact"},
    "resume": set(),
    "runs": {"--json"},
    "stop": set(),
    "train": {"--name", "--resume", "--set", "--detach", "--processes"},
    "unpack": set(),
    "watch": set(),
}


def test_the_commands_are_those_of_the_design() -> None:
    app: Any = build()
    assert set(app.commands) == set(COMMANDS)
    for name, options in COMMANDS.items():
        command = app.commands[name]
        assert command.help, name
        said = {option for parameter in command.params for option in parameter.opts}
        assert options <= said, name


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"text": "hello"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "model").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "project.yaml").write_text("train: [")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.yaml").write_text("model: {source: model}\ndata: {path: ../rows.jsonl}\n")
    return tmp_path


WRONG = [
    (["models", "--delete", "nosuch/model", "--yes"], "There is no model"),
    (["models", "--delete", "starter", "--yes"], "did not come from the Hub"),
    (["init", "new", "--model", "starter", "--data", "rows.jsonl", "--goal", "tonne"], '"tone"'),
    (["nosuch"], "nosuch"),
    (["train"], "PROJECT"),
    (["train", "nowhere"], "project.yaml"),
    (["train", "broken"], "line 1"),
    (["train", "project"], "model.source"),
    (["train", "project", "--set", "trian.steps=1"], "Did you mean"),
    (["train", "project", "--set", "train.steps=none"], "whole number"),
    (["train", "project", "--resume"], "unfinished"),
    (["train", "project", "--resume", "--name", "x"], "frozen"),
    (["train", "project", "--processes", "0"], "--processes"),
    (["init", "new", "--model", "model", "--data", "nowhere.jsonl"], "data.path"),
    (["init", "new", "--model", "model", "--data", "empty.jsonl"], "empty"),
    (["init", "new", "--model", "model", "--data", "rows.jsonl", "--method", "lorra"], '"lora"'),
    (["init", "project", "--model", "model", "--data", "rows.jsonl"], "already"),
    (["watch", "project"], "not a run"),
    (["stop", "nowhere"], "no run"),
    (["pause", "rows.jsonl"], "no run"),
    (["resume", "nowhere"], "no run"),
    (["eval", "nowhere"], "no run"),
    (["runs", "nowhere"], "no project"),
    (["pack", "project", "x.tunesmith", "--with", "dta"], '"data"'),
    (["pack", "project", "x.tunesmith", "--with", "adapter"], "no tuned weights"),
    (["pack", "project", "model"], "is a folder"),
    (["unpack", "rows.jsonl", "opened"], "no Tunesmith file"),
    (["unpack", "nowhere", "opened"], "not there"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_wrong_input_is_exit_code_two_and_a_sentence(
    place: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(arguments) == 2
    output, errors = capfd.readouterr()
    assert words in " ".join(errors.split()) and "Traceback" not in errors
    assert len(errors) > 20 and not output


def test_a_project_that_cannot_start_leaves_no_run(place: Path) -> None:
    run(["train", "project"])
    assert not (place / "project" / "runs").exists()


def test_json_is_one_document(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runs", "project", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
