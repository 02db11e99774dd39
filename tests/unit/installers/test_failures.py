"""Every failure is a sentence with the fix."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from installers import bootstrap, compiler, environment
from installers.failures import SetupError, explain
from installers.places import Places

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("output", "sentence", "fix"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "disk is full", "Free"),
        ("c++: fatal error: Killed signal terminated program cc1plus", "out of memory", "Close other programs"),
        ("SSLCertVerificationError: certificate verify failed: self signed", "certificate", "PIP_CERT"),
        ("ProxyError('Cannot connect to proxy.'): Max retries exceeded", "proxy", "HTTPS_PROXY"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "damaged", "pip cache purge"),
        ("NewConnectionError: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution\n"
         "ERROR: Could not find a version that satisfies the requirement torch==2.13.0", "could not be reached",
         "--offline"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError(: Failed to establish a new connection'\n"
         "ERROR: No matching distribution found for pip", "could not be reached", "--offline"),
        ("urllib3 ProtocolError: ('Connection broken: IncompleteRead(1 bytes read)'", "damaged", "cache purge"),
        ("ReadTimeoutError(\"HTTPSConnectionPool\"): Read timed out.", "could not be reached", "--offline"),
        ("PermissionError: [WinError 32] The process cannot access the file", "in use", "Close Tunesmith"),
        ("OSError: [Errno 36] File name too long: 'x'", "too long", "shorter folder"),
        ("OSError: [Errno 13] Permission denied: 'x'", "cannot be written", "sudo"),
        ("CMake Error: CMAKE_CXX_COMPILER not set, after EnableLanguage", "compiler", "INSTALL THIS"),
        ("error: Microsoft Visual C++ 14.0 or greater is required.", "compiler", "INSTALL THIS"),
        ("CMake Error: Could NOT find CUDAToolkit; nvcc fatal", "CUDA toolkit", "--llama-backend cpu"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no build of torch==2.13.0", "Python 3.11"),
        ("FAILED: vendor/ggml.c.o\nninja: build stopped: subcommand failed.", "could not be compiled", "INSTALL THIS"),
        ("ERROR: ResolutionImpossible: for help visit", "contradict", "report"),
        ("something nobody has seen", 'step "install PyTorch" failed', "retry"),
    ],
)  # fmt: skip
def test_output_becomes_a_sentence(output: str, sentence: str, fix: str) -> None:
    error = explain(output, "install PyTorch", compiler_fix="INSTALL THIS")
    assert sentence in error.sentence
    assert fix in error.fix
    assert "{" not in str(error)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 10), (3, 10, 12), (3, 14, 0)])
def test_a_wrong_python_is_told_off(version: tuple[int, ...]) -> None:
    problem = bootstrap.python_problem(version)
    assert "3.11, 3.12 or 3.13" in problem
    assert f"{version[0]}.{version[1]}" in problem
    assert "nstall" in problem


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 4), (3, 13, 1)])
def test_a_right_python_is_taken(version: tuple[int, ...]) -> None:
    assert bootstrap.python_problem(version) == ""


def test_the_entry_parses_on_an_old_python() -> None:
    source = (ROOT / "installers" / "bootstrap.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    early = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {alias.name for node in early for alias in node.names} == {"os", "sys"}


def test_the_installer_needs_the_standard_library_only() -> None:
    code = "import sys; sys.path.insert(0, '.'); import installers.command_line; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    roots = {name.split(".")[0] for name in done.stdout.split()} - {"__main__", "installers"}
    assert not [name for name in roots if name not in sys.stdlib_module_names]


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("Linux", ("apt install build-essential", "dnf install gcc gcc-c++", "pacman -S base-devel")),
        ("Darwin", ("xcode-select --install",)),
        ("Windows", ("Build Tools for Visual Studio", "Desktop development with C++")),
    ],
)
def test_what_to_install_for_a_compiler(system: str, words: tuple[str, ...]) -> None:
    assert all(word in compiler.compiler_fix(system) for word in words)


@pytest.mark.skipif(sys.platform == "win32", reason="PATH does not decide there")
def test_no_compiler_is_found_before_the_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = compiler.compiler_problem()
    assert problem and "no C and C++ compiler" in problem.sentence
    for name in ("gcc", "g++"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert compiler.compiler_problem() is None


def test_a_full_disk_is_found_before_the_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**11, 10**11, 5 * 10**8))
    with pytest.raises(SetupError, match=r"0\.5 GB free, and setting up needs 4 GB"):
        environment.check_disk(tmp_path / "not" / "yet", 4.0)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written"):
        environment.check_writable(tmp_path / "file" / "below")


def test_a_python_without_venv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"apt install python3\.\d+-venv"):
        environment.check_modules()


def test_a_broken_environment_is_made_anew(places: Places, fake_venv: Path) -> None:
    places.python.write_text("#!/bin/sh\nexit 1\n")
    commands: list[list[str]] = []

    class Notes:
        def run(self, command: list[str], step: str) -> str:
            assert not places.python.exists(), "the broken one is out of the way first"
            commands.append(command)
            raise SetupError("stop", "here")

    places.log.write_text("what happened before\n")
    with pytest.raises(SetupError, match="stop"):
        environment.make_environment(places, Notes(), [])  # type: ignore[arg-type]
    assert [command[1:] for command in commands] == [["-m", "venv", str(places.venv)]]
    assert places.log.read_text() == "what happened before\n"
    assert [path.name for path in places.root.iterdir() if "broken" in path.name] == []


def test_a_folder_of_someone_else_is_not_cleared(places: Places) -> None:
    places.venv.mkdir()
    (places.venv / "thesis.txt").write_text("years of work")
    with pytest.raises(SetupError, match="not a Python environment"):
        environment.make_environment(places, None, [])  # type: ignore[arg-type]
    assert (places.venv / "thesis.txt").read_text() == "years of work"
