"""The installer is no installed package: its tests find it beside them. A fake environment stands in for `.venv`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from installers.places import Places  # noqa: E402 - after the path is set

# Answers like the environment's interpreter: says its version, keeps a list of what pip installed, and reports on it.
# Begins as a shell script: a `#!` line cannot name an interpreter whose path has a space.
_FAKE_PYTHON = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import json, os, sys
from pathlib import Path
folder = Path(sys.argv[0]).parent.parent
state = folder / "state.json"
arguments = sys.argv[1:]
with (folder / "calls.txt").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
if arguments[0] == "-c" and "import sys, pip" in arguments[1]:
    print(sys.version_info[0], sys.version_info[1], True)
elif arguments[0] == "-c":
    print(state.read_text())
elif arguments[:2] == ["-m", "pip"]:
    failure = folder / "failure.txt"
    if failure.exists():
        print(failure.read_text())
        sys.exit(1)
    found = json.loads(state.read_text())
    for name in found:
        if name in arguments:
            found[name] = found[name].rstrip("?")
    state.write_text(json.dumps(found))
    print("Collecting something")
elif arguments[:2] == ["-m", "studio.machine.doctor"]:
    print((folder / "doctor.json").read_text())
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A checkout with a space in its name and a user's cache, both empty but for the files the installer reads."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # should a test ever reach a real pip, it fails instead of downloading
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "user home"))
    root = tmp_path / "a checkout"
    (root / "installers").mkdir(parents=True)
    constraints = "pip==26.3\nsetuptools==84.2.1\nwheel==0.48.0\nduckdb==2.0.0\n"
    (root / "installers" / "constraints.txt").write_text(constraints, encoding="utf-8")
    project = '[project]\ndependencies = ["duckdb", "torch", "llama-cpp-python"]\n'
    project += '[project.optional-dependencies]\ndev = ["pytest"]\n'
    (root / "pyproject.toml").write_text(project, encoding="utf-8")
    places = Places(root=root, cache=tmp_path / "user home" / "cache")
    places.compiled_source.parent.mkdir(parents=True)
    places.compiled_source.write_text("int tunesmith_version(void) { return 1; }\n", encoding="utf-8")
    return places


@pytest.fixture
def fake_venv(places: Places) -> Path:
    """`.venv` with an interpreter that only pretends: `calls.txt` tells what it was asked."""
    if sys.platform == "win32":
        pytest.skip("a script cannot stand in for python.exe")
    places.python.parent.mkdir(parents=True)
    places.python.write_text(_FAKE_PYTHON.replace("{python}", sys.executable), encoding="utf-8")
    places.python.chmod(0o755)
    (places.venv / "pyvenv.cfg").write_text("home = here\n", encoding="utf-8")
    set_state(places, {"duckdb": "2.0.0", "pip": "26.3", "torch": "2.13.0+cpu", "llama-cpp-python": "0.3.36"})
    part = {"name": "Python", "works": True, "detail": "3.11", "fix": "", "packages": [], "is_essential": True}
    (places.venv / "doctor.json").write_text(json.dumps([part]), encoding="utf-8")
    return places.venv


def set_state(places: Places, packages: dict[str, str]) -> None:
    (places.venv / "state.json").write_text(json.dumps(packages), encoding="utf-8")


def calls(places: Places) -> list[list[str]]:
    """What the fake interpreter was asked, in order."""
    path = places.venv / "calls.txt"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
