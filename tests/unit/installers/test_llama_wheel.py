"""The wheel cache: what makes a wheel different makes its key different, and nothing damaged is ever used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from installers import compiler, llama_wheel
from installers.failures import SetupError
from installers.llama_build import choose_build
from installers.llama_wheel import adopt_archive, build_wheel, cached_wheel, store_wheel
from installers.places import Places
from installers.runner import Runner

OLD = "sse4_2 avx"
ZEN3 = f"{OLD} f16c fma bmi2 avx2"
SAPPHIRE = f"{ZEN3} avx512f avx512cd avx512vl avx512dq avx512bw avx512_vbmi avx512_vnni amx_tile amx_int8 amx_bf16"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "llama_cpp_python-0.3.36-py3-none-any.whl"
    path.write_bytes(os.urandom(5000))
    return path


def test_a_stored_wheel_is_found_again(places: Places, wheel: Path) -> None:
    build = choose_build("cpu", flags=ZEN3)
    assert cached_wheel(places, build) is None
    stored = store_wheel(places, build, wheel)
    assert cached_wheel(places, build) == stored
    assert stored.read_bytes() == wheel.read_bytes()
    assert places.root not in stored.parents


def test_another_processor_or_backend_gets_another_wheel(places: Places, wheel: Path) -> None:
    store_wheel(places, choose_build("cpu", flags=ZEN3), wheel)
    others = [
        choose_build("cpu", flags=SAPPHIRE),
        choose_build("cpu", flags=OLD),
        choose_build("cpu", "vulkan", flags=ZEN3),
    ]
    assert all(cached_wheel(places, other) is None for other in others)


@pytest.mark.parametrize("damage", ["cut", "flipped", "manifest", "no manifest", "elsewhere"])
def test_a_damaged_wheel_is_not_used_and_is_replaced(places: Places, wheel: Path, damage: str) -> None:
    build = choose_build("cpu", flags=ZEN3)
    stored = store_wheel(places, build, wheel)
    manifest = stored.with_name("manifest.json")
    if damage == "cut":
        stored.write_bytes(stored.read_bytes()[:-1])
    elif damage == "flipped":
        content = bytearray(stored.read_bytes())
        content[100] ^= 1
        stored.write_bytes(content)
    elif damage == "manifest":
        manifest.write_text('{"file": "llama')
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text(json.dumps({"file": "../../../../etc/hosts", "size": 5000, "sha256": "0"}))
    assert cached_wheel(places, build) is None
    store_wheel(places, build, wheel)
    assert cached_wheel(places, build) == stored


def test_an_interrupted_store_leaves_nothing(places: Places, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(llama_wheel, "sha256_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store_wheel(places, choose_build("cpu", flags=ZEN3), wheel)
    assert not list(places.wheels.iterdir())


def test_amx_is_never_compiled_in() -> None:
    options = choose_build("cpu", flags=SAPPHIRE).options
    assert "-DGGML_NATIVE=OFF" in options
    assert "-DGGML_AVX512=ON" in options
    assert not [option for option in options if "AMX" in option and option.endswith("=ON")]


def test_an_instruction_set_needs_all_of_its_flags() -> None:
    assert "-DGGML_AVX512=OFF" in choose_build("cpu", flags=f"{ZEN3} avx512f").options
    assert "-DGGML_AVX2=OFF" in choose_build("cpu", flags=OLD).options


@pytest.mark.parametrize(
    ("torch_backend", "has_nvcc", "wanted", "backend"),
    [
        ("cpu", False, "auto", "cpu"),
        ("cpu", True, "auto", "cpu"),
        ("cuda", True, "auto", "cuda"),
        ("cuda", False, "auto", "cpu"),
        ("rocm", False, "auto", "cpu"),
        ("apple", False, "auto", "metal"),
        ("cuda", True, "cpu", "cpu"),
        ("cpu", False, "vulkan", "vulkan"),
    ],
)
def test_which_backend_is_compiled(torch_backend: str, has_nvcc: bool, wanted: str, backend: str) -> None:
    assert choose_build(torch_backend, wanted, has_nvcc=has_nvcc, flags=ZEN3).backend == backend


def test_a_foreign_archive_is_refused(places: Places, tmp_path: Path) -> None:
    (tmp_path / llama_wheel.ARCHIVE).write_bytes(b"not it")
    with pytest.raises(SetupError, match="damaged or not the one"):
        adopt_archive(places, tmp_path / llama_wheel.ARCHIVE)
    assert not (places.archives / llama_wheel.ARCHIVE).exists()


def test_the_compiler_is_asked_for_before_the_build(
    places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(llama_wheel, "compiler_problem", lambda: SetupError("no compiler", "install one"))
    runner = Runner(tmp_path / "log", lambda text: None)
    with pytest.raises(SetupError, match="no compiler"):
        build_wheel(places, choose_build("cpu"), tmp_path / "archive", runner, ["never-run"], [])


def test_the_build_uses_no_more_compilers_than_cores() -> None:
    assert 1 <= compiler.num_compilers() <= (os.cpu_count() or 1)
