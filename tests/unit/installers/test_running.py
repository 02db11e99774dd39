"""Running commands, printing steps, starting the program, and how the command line ends."""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest

from installers import command_line
from installers.console import Console
from installers.failures import SetupError
from installers.lock import only_one
from installers.places import Places, user_cache
from installers.requirements import requirements
from installers.runner import Runner, clean_environment, gist_of
from installers.start import has_display, program, side_by_side


@pytest.mark.parametrize(
    ("line", "gist"),
    [
        ("Progress 52428800 of 191794682", "downloaded 52 of 192 MB"),
        ("  [12/140] /usr/bin/g++ -O3 x.cpp", "compiled 12 of 140 files"),
        ("Collecting torch==2.13.0 (from -r x)", "collecting torch==2.13.0"),
        (
            "  Downloading duckdb-2.0.0-cp311.whl.metadata (14 kB)",
            "downloading duckdb-2.0.0-cp311.whl.metadata (14 kB)",
        ),
        ("Installing collected packages: a, b, c", "unpacking 3 packages"),
        ("  Installing build dependencies: started", "installing build dependencies"),
        ("Requirement already satisfied: x", ""),
    ],
)
def test_the_gist_of_a_line(line: str, gist: str) -> None:
    assert gist_of(line) == gist


def test_output_goes_to_the_log_and_failure_becomes_a_sentence(tmp_path: Path) -> None:
    shown: list[str] = []
    runner = Runner(tmp_path / "a folder" / "install.log", shown.append)
    code = "print('Collecting ümlaut'); print('Progress 1 of 2'); print('last line')"
    assert runner.run([sys.executable, "-c", code], "first").endswith("last line")
    with pytest.raises(SetupError, match="disk is full"):
        runner.run([sys.executable, "-c", "print('No space left on device'); raise SystemExit(2)"], "second")
    log = runner.log.read_text(encoding="utf-8")
    assert "Collecting ümlaut" in log and "No space left" in log and "\nProgress" not in log
    assert "collecting ümlaut" in shown


def test_an_incomplete_offline_folder_is_named(tmp_path: Path) -> None:
    code = "print('ERROR: No matching distribution found for duckdb==2.0.0'); raise SystemExit(1)"
    with pytest.raises(SetupError, match=r"no wheel of duckdb==2\.0\.0"):
        Runner(tmp_path / "log", lambda text: None).run([sys.executable, "-c", code, "--no-index"], "install")


def test_a_silent_command_still_moves_the_live_line(tmp_path: Path) -> None:
    shown: list[str] = []
    Runner(tmp_path / "log", shown.append).run([sys.executable, "-c", "import time; time.sleep(1.2)"], "wait")
    assert shown


def test_an_interrupt_ends_the_child(tmp_path: Path) -> None:
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Runner(tmp_path / "log", interrupt).run([sys.executable, "-c", "import time; time.sleep(60)"], "wait")
    assert time.monotonic() - started < 20


def test_settings_that_mislead_pip_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PIP_TARGET", "PIP_USER", "PIP_CONSTRAINT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example")
    environment = clean_environment()
    assert not {"PYTHONPATH", "PIP_TARGET", "PIP_USER", "PIP_CONSTRAINT"} & set(environment)
    assert environment["PIP_INDEX_URL"] == "https://mirror.example"
    assert environment["PYTHONUTF8"] == "1"


def test_steps_are_numbered_and_timed() -> None:
    stream = io.StringIO()
    console = Console(2, stream)
    with console.step("Making tea") as step:
        step.outcome = "from the cache"
    with pytest.raises(ValueError), console.step("Burning toast"):
        raise ValueError
    console.table()
    printed = stream.getvalue()
    assert "[1/2] Making tea ... 0.0 s (from the cache)\n" in printed
    assert "[2/2] Burning toast ... 0.0 s (failed)" in printed
    assert "in all" in printed
    assert printed.isascii()


def test_a_log_is_not_flooded() -> None:
    stream = io.StringIO()
    console = Console(1, stream)
    with console.step("Waiting"):
        for _ in range(1000):
            console.live("still here")
    assert stream.getvalue().count("still here") == 0


@pytest.mark.parametrize(
    ("environment", "platform", "there"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ""}, "linux", False),
        ({}, "win32", True),
        ({}, "darwin", True),
    ],
)
def test_display(environment: dict[str, str], platform: str, there: bool) -> None:
    assert has_display(environment, platform) is there


def test_the_demo_runs_where_there_is_no_window(places: Places) -> None:
    assert program(places, with_display=True)[-1] == "demo"
    (places.root / "studio" / "gui").mkdir(parents=True)
    (places.root / "studio" / "gui" / "__init__.py").write_text("")
    assert program(places, with_display=True)[-2:] == ["-m", "studio"]
    assert program(places, with_display=False)[-1] == "demo"


@pytest.mark.parametrize(
    ("environment", "platform", "end"),
    [
        ({"TUNESMITH_HOME": "moved"}, "linux", "moved/cache"),
        ({"XDG_CACHE_HOME": "c"}, "linux", "c/tunesmith"),
        ({}, "linux", ".cache/tunesmith"),
        ({}, "darwin", "Library/Caches/tunesmith"),
        ({"LOCALAPPDATA": "AppData"}, "win32", "AppData/tunesmith/Cache"),
    ],
)
def test_the_cache_is_where_the_program_looks(environment: dict[str, str], platform: str, end: str) -> None:
    assert user_cache(environment, platform).as_posix().endswith(end)


def test_the_cache_is_the_programs_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from studio import paths

    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path))
    assert user_cache() == paths.cache_dir()
    monkeypatch.delenv("TUNESMITH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert user_cache() == paths.cache_dir()


def test_requirements_leave_out_what_has_its_own_step(places: Places) -> None:
    assert requirements(places.pyproject, with_dev=False) == ["duckdb"]
    assert requirements(places.pyproject, with_dev=True) == ["duckdb", "pytest"]


def test_every_requirement_of_the_project_is_pinned() -> None:
    root = Path(__file__).resolve().parents[3]
    from installers.environment import pinned_version
    from installers.requirements import _name

    for line in requirements(root / "pyproject.toml", with_dev=True):
        names = {_name(line), _name(line).replace("-", "_")}
        text = (root / "installers" / "constraints.txt").read_text(encoding="utf-8").lower()
        assert any(f"\n{name}==" in text for name in names), line
    assert pinned_version(root / "installers" / "constraints.txt", "torch") == "2.13.0"


def test_a_second_set_up_at_the_same_time_is_refused(places: Places) -> None:
    with only_one(places), pytest.raises(SetupError, match="Another set-up"), only_one(places):
        pass
    with only_one(places):
        pass


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.run(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("test", "bundle", "doctor", "--offline", "--no-start", "--backend"))


def test_a_failure_is_told_in_two_sentences(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "here", lambda: places)
    assert command_line.run(["doctor"]) == 1
    told = capsys.readouterr().err
    assert "Nothing is set up yet." in told and "--no-start" in told and "log" not in told


def test_a_failed_command_is_told_with_its_last_lines(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> int:
        code = "for number in range(40): print('line', number)\nraise SystemExit(1)"
        Runner(places.log, lambda text: None).run([sys.executable, "-c", code], "count")
        return 0

    monkeypatch.setattr(command_line, "here", lambda: places)
    monkeypatch.setattr(command_line, "_act", fail)
    assert command_line.run([]) == 1
    told = capsys.readouterr().err
    assert 'step "count" failed' in told and str(places.log) in told
    assert "| line 39" in told and "| line 3\n" not in told


@pytest.mark.parametrize("number", [28, 13])
def test_an_error_of_the_system_is_a_sentence(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(number, os.strerror(number), "some file")

    monkeypatch.setattr(command_line, "here", lambda: places)
    monkeypatch.setattr(command_line, "_act", fail)
    assert command_line.run([]) == 1
    told = capsys.readouterr().err
    assert "some file" in told and "Traceback" not in told


@pytest.mark.parametrize(("cores", "processes"), [(None, None), (1, None), (2, "2"), (64, "4")])
def test_tests_run_side_by_side_where_there_are_cores(cores: int | None, processes: str | None) -> None:
    words = side_by_side(cores)
    assert words == (["-n", processes, "--dist", "loadfile", "--no-loadscope-reorder"] if processes else [])
