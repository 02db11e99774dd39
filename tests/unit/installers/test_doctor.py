"""The doctor's judgements, and that a crash of a part is a line of the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from installers.compiler import compiler_problem
from studio.machine import compiled, doctor, llama_health
from studio.machine.gpu_match import judge_gpu
from studio.machine.llama_health import LlamaHealth

BUILDS = ("cpu", "cuda126", "cuda130", "rocm72")
NEW, OLD = ("580.65", "13.0"), ("535.104", "12.2")


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("torch_cuda", "is_available", "driver", "builds", "works", "words"),
    [
        ("13.0", True, NEW, BUILDS, True, "fit"),
        ("12.6", True, OLD, BUILDS, True, "fit"),
        ("13.0", False, OLD, BUILDS, False, "runs CUDA up to 12.2"),
        ("13.0", False, None, BUILDS, False, "no NVIDIA driver"),
        ("13.0", False, NEW, BUILDS, False, "sees no GPU"),
        ("13.0", True, NEW, ("cpu", "cuda126"), False, "bitsandbytes has no build for CUDA 13.0"),
        (None, False, NEW, BUILDS, None, "without CUDA"),
        (None, False, None, BUILDS, None, "no NVIDIA GPU"),
    ],
)
def test_driver_torch_and_bitsandbytes(
    torch_cuda: str | None,
    is_available: bool,
    driver: tuple[str, str] | None,
    builds: tuple[str, ...],
    works: bool | None,
    words: str,
) -> None:
    part = judge_gpu(torch_cuda=torch_cuda, torch_rocm=None, is_available=is_available, driver=driver, builds=builds)
    assert part.works is works
    assert words in part.detail
    assert bool(part.fix) == (works is False or "without CUDA" in words)


def test_rocm() -> None:
    facts = {"torch_cuda": None, "torch_rocm": "7.2", "driver": None, "builds": BUILDS}
    assert judge_gpu(is_available=True, **facts).works is True  # type: ignore[arg-type]
    assert "render" in judge_gpu(is_available=False, **facts).fix  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "errors", "words"),
    [
        (-11, "", "segmentation fault"),
        (0xC0000005, "", "segmentation fault"),
        (-4, "", "lacks an instruction"),
        (-9, "", "killed by signal 9"),
        (1, "Traceback\nImportError: libcudart.so", "ImportError: libcudart.so"),
        (3, "", "code 3"),
    ],
)
def test_how_a_child_ended(code: int, errors: str, words: str) -> None:
    assert words in llama_health.ending(code, errors)


@pytest.mark.parametrize(
    ("outcomes", "works", "use_extra_bufts"),
    [(["", ""], True, True), (["it crashes", ""], True, False), (["it crashes", "it crashes"], False, False)],
)
def test_a_crash_with_repacked_weights_switches_them_off(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[str], works: bool, use_extra_bufts: bool
) -> None:
    monkeypatch.setattr(llama_health, "_trial", lambda setting, seconds: outcomes[0 if setting == "with" else 1])
    monkeypatch.setattr(llama_health, "_key", lambda: "this build on this processor")
    assert llama_health.remembered() is None
    health = llama_health.probe()
    assert (health.works, health.use_extra_bufts) == (works, use_extra_bufts)
    assert llama_health.remembered() == (health if works else None), "a failure is tried again, not remembered"
    monkeypatch.setattr(llama_health, "_key", lambda: "another build")
    assert llama_health.remembered() is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 3}', '{"key": {"works": true}}'])
def test_a_damaged_memory_is_as_none(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr(llama_health, "_key", lambda: "key")
    llama_health._path().write_text(content)
    assert llama_health.remembered() is None
    monkeypatch.setattr(llama_health, "_trial", lambda setting, seconds: "")
    assert llama_health.probe() == llama_health.remembered()


def test_prepare_switches_the_default_off_for_everyone() -> None:
    code = (
        "import llama_cpp, llama_cpp.llama_cpp as low\n"
        "from studio.machine.llama_health import LlamaHealth, prepare\n"
        "prepare(LlamaHealth(True, True, ''))\n"
        "print(low.llama_model_default_params().use_extra_bufts)\n"
        "prepare(LlamaHealth(True, False, ''))\n"
        "print(low.llama_model_default_params().use_extra_bufts)\n"
        "print(llama_cpp.llama_model_default_params().use_extra_bufts)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]


def test_a_real_trial_decodes() -> None:
    health = llama_health.probe()
    assert health.works, health.detail
    assert llama_health.remembered() == health


def test_a_crashing_child_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.dumps({"name": "PyTorch", "works": True, "detail": "", "fix": "", "packages": [], "is_essential": True})
    code = f"import os, sys; print({line!r}); sys.stdout.flush(); os.kill(os.getpid(), 11)"
    real = subprocess.run
    monkeypatch.setattr(doctor.subprocess, "run", lambda command, **how: real([sys.executable, "-c", code], **how))
    parts = doctor._child("torch", ["PyTorch", "GPU match"], ("torch",))
    assert [(part.name, part.works) for part in parts] == [("PyTorch", True), ("GPU match", False)]
    if sys.platform != "win32":
        assert "segmentation fault" in parts[1].detail
    assert parts[1].fix and parts[1].packages == ("torch",)


def test_a_hanging_child_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_CHILD_SECONDS", 0.2)
    real = subprocess.run
    slow = [sys.executable, "-c", "import time; time.sleep(30)"]
    monkeypatch.setattr(doctor.subprocess, "run", lambda command, **how: real(slow, **how))
    assert "hung" in doctor._child("window", ["window"], ())[0].detail


def test_a_full_disk_and_little_memory() -> None:
    assert doctor.disk_part(lowest=1).works is True
    full = doctor.disk_part(lowest=10**18)
    assert full.works is False and "Free some space" in full.fix
    assert doctor.memory_part(lowest=10**18).fix


def test_folders_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert doctor.folders_part().works is True
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "file"))
    part = doctor.folders_part()
    assert part.works is False and part.is_essential and "TUNESMITH_HOME" in part.fix


def test_the_converter_is_missing_cut_or_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "converter_dir", lambda: tmp_path)
    assert doctor.converter_part().works is False
    (tmp_path / "VERSION").write_text(json.dumps({"llama_cpp_python": "1", "files": {"a.py": 3}}))
    assert "a.py" in doctor.converter_part().detail
    (tmp_path / "a.py").write_text("abc")
    assert doctor.converter_part().works is True


def test_the_command_shows_the_fix_and_ends_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from studio.cli.commands.doctor import COMMAND

    parts = [doctor.Part("Python", True, "3.11"), doctor.Part("disk", False, "0 GB free", "Free some space.")]
    monkeypatch.setattr(doctor, "examine", lambda is_quick: parts)
    assert COMMAND(as_json=False) == 1
    shown = capsys.readouterr().out
    assert "✓" in shown and "✗" in shown and "Free some space." in shown
    assert COMMAND(as_json=True) == 1
    assert [part["works"] for part in json.loads(capsys.readouterr().out)] == [True, False]
    monkeypatch.setattr(doctor, "examine", lambda is_quick: parts[:1])
    assert COMMAND(as_json=True) == 0


def test_nothing_heavy_is_loaded_by_the_doctor_itself() -> None:
    code = "import sys; import studio.machine.doctor, studio.cli.commands.doctor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "llama_cpp", "numpy", "PySide6"} & set(done.stdout.split())


def test_health_is_a_plain_value() -> None:
    assert LlamaHealth(True, False, "x") == LlamaHealth(True, False, "x")


def test_what_setup_compiled_is_there() -> None:
    if compiler_problem():
        pytest.skip("no C compiler")
    part = doctor.compiled_part()
    assert part.works is True and not part.fix


def test_what_setup_compiled_is_missing_damaged_or_of_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "compiled_path", lambda: None)
    part = doctor.compiled_part()
    assert part.works is None and "C compiler" in part.fix
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"not a library")
    monkeypatch.setattr(doctor, "compiled_path", lambda: damaged)
    part = doctor.compiled_part()
    assert part.works is False and part.packages == ("tunesmith",)
    monkeypatch.undo()
    if compiled.compiled_path():
        monkeypatch.setattr(compiled, "VERSION", 0)
        part = doctor.compiled_part()
        assert part.works is False and "another version" in part.detail
