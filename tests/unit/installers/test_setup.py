"""When the set-up does everything, when it only looks, and what it mends. pip is a script that keeps notes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from installers import compiler, converter, llama_wheel, packages, setup_steps
from installers.console import Console
from installers.failures import SetupError
from installers.llama_build import choose_build
from installers.places import Places
from installers.setup_steps import Options, Setup
from installers.stamp import read_stamp
from installers.torch_choice import Facts

from .conftest import calls, set_state


@pytest.fixture(autouse=True)
def prepared(places: Places, fake_venv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, no GPU, no compiler: a finished wheel in the cache and a whole converter in place."""
    monkeypatch.setattr(setup_steps, "find_facts", lambda: Facts("Linux", "x86_64"))
    monkeypatch.setattr(packages, "reachable_tag", lambda choice: None)
    monkeypatch.setattr(converter, "is_whole", lambda target: True)
    wheel = tmp_path / "llama_cpp_python-0.3.36-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    llama_wheel.store_wheel(places, choose_build("cpu"), wheel)


def set_up(places: Places, **options: object) -> tuple[str, list[list[str]]]:
    """Run one set-up; what it printed, and what it asked pip to install."""
    before = len(calls(places))
    stream = io.StringIO()
    Setup(places, Options(**options), Console(2, stream)).run()  # type: ignore[arg-type]
    installs = [call[5:] for call in calls(places)[before:] if call[:3] == ["-m", "pip", "install"]]
    return stream.getvalue(), [[word for word in call if word != str(places.constraints)] for call in installs]


def test_the_first_time_everything_is_done_in_order(places: Places) -> None:
    printed, installs = set_up(places)
    assert "[1/8] Checking this computer" in printed
    assert "[8/8] Self-test" in printed
    assert "own index does not answer" in printed
    words = [" ".join(call) for call in installs]
    assert "torch==2.13.0" in words[1] and "duckdb" not in words[1], "torch comes first and alone"
    assert "duckdb" in words[2] and "llama_cpp_python" in words[2] and "pytest" not in installs[2]
    assert "-e" in installs[3]
    stamp = read_stamp(places.stamp)
    assert stamp and stamp.packages["duckdb"] == "2.0.0" and not stamp.has_dev


def test_the_second_time_it_only_looks(places: Places) -> None:
    set_up(places)
    printed, installs = set_up(places)
    assert installs == []
    assert "[1/2] Checking the environment" in printed


@pytest.mark.parametrize("change", ["constraints", "pyproject", "compiled", "dev", "backend", "stamp"])
def test_what_makes_it_do_everything_again(places: Places, change: str) -> None:
    set_up(places)
    options: dict[str, object] = {}
    if change == "constraints":
        places.constraints.write_text(places.constraints.read_text() + "rich==1.0\n")
    elif change == "pyproject":
        places.pyproject.write_text(places.pyproject.read_text() + "\n")
    elif change == "compiled":
        places.compiled_source.write_text("int tunesmith_version(void) { return 2; }\n")
    elif change == "dev":
        options["with_dev"] = True
    elif change == "backend":
        options.update(backend="cuda", llama_backend="cpu")
    else:
        places.stamp.write_text("{")
    printed, _ = set_up(places, **options)
    assert "[8/8] Self-test" in printed


def test_what_was_asked_for_is_remembered(places: Places) -> None:
    set_up(places, backend="cuda", llama_backend="cpu", with_dev=True)
    printed, installs = set_up(places)
    assert installs == [] and "[1/2]" in printed
    stamp = read_stamp(places.stamp)
    assert stamp and stamp.backend == "cuda" and stamp.has_dev


def test_a_broken_package_is_mended_alone(places: Places) -> None:
    set_up(places)
    set_state(places, {"duckdb": "2.0.0?", "pip": "26.3", "torch": "2.13.0+cpu", "llama-cpp-python": "0.3.36"})
    printed, installs = set_up(places)
    assert "mended duckdb" in printed
    assert installs == [["-c", "--force-reinstall", "--no-deps", "duckdb"]]


@pytest.mark.parametrize(
    ("name", "word"), [("torch", "torch==2.13.0"), ("llama-cpp-python", "llama_cpp_python-0.3.36")]
)
def test_special_packages_are_mended_from_their_own_source(places: Places, name: str, word: str) -> None:
    set_up(places)
    state = {"duckdb": "2.0.0", "pip": "26.3", "torch": "2.13.0+cpu", "llama-cpp-python": "0.3.36"}
    del state[name]
    set_state(places, state)
    _, installs = set_up(places)
    assert len(installs) == 1
    assert any(word in argument for argument in installs[0])


def test_a_damaged_pip_means_everything_again(places: Places) -> None:
    set_up(places)
    set_state(places, {"duckdb": "2.0.0", "pip": "26.3?", "torch": "2.13.0+cpu", "llama-cpp-python": "0.3.36"})
    printed, _ = set_up(places)
    assert "setting up again" in printed
    assert "[9/9] Self-test" in printed


def test_a_lost_converter_is_unpacked_again(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(places)
    unpacked = []
    monkeypatch.setattr(converter, "is_whole", lambda target: False)
    monkeypatch.setattr(converter, "unpack_converter", lambda archive, target: unpacked.append(target))
    monkeypatch.setattr(llama_wheel, "fetch_archive", lambda *arguments: Path("archive"))
    printed, _ = set_up(places)
    assert unpacked == [places.converter]
    assert "mended the converter" in printed


def test_a_part_that_fails_its_test_is_installed_again(places: Places) -> None:
    set_up(places)
    part = {
        "name": "duckdb",
        "works": False,
        "detail": "no",
        "fix": "Do this.",
        "packages": ["duckdb"],
        "is_essential": False,
    }
    (places.venv / "doctor.json").write_text(json.dumps([part]))
    printed, installs = set_up(places)
    assert installs == [["-c", "--force-reinstall", "--no-deps", "duckdb"]]
    assert "BROKEN  duckdb" in printed and "Fix: Do this." in printed


def test_a_self_test_that_cannot_run(places: Places) -> None:
    set_up(places)
    (places.venv / "doctor.json").write_text("Traceback")
    with pytest.raises(SetupError, match="self-test could not run"):
        set_up(places)


def test_a_failed_step_leaves_no_stamp(places: Places) -> None:
    (places.venv / "failure.txt").write_text("ERROR: [Errno 28] No space left on device")
    with pytest.raises(SetupError, match="disk is full"):
        set_up(places)
    assert not places.stamp.exists()
    assert "No space left" in places.log.read_text()


def test_no_compiler_is_said_before_anything_is_downloaded(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_wheel, "cached_wheel", lambda places, build: None)
    monkeypatch.setattr(compiler, "compiler_problem", lambda: SetupError("no compiler", "install one"))
    with pytest.raises(SetupError, match="no compiler"):
        set_up(places)
    assert [call for call in calls(places) if "install" in call] == []
