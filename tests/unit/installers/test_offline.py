"""A bundle is used whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from installers import offline
from installers.failures import SetupError
from installers.llama_build import choose_build
from installers.llama_wheel import sha256_of

ZEN3 = "sse4_2 avx f16c fma bmi2 avx2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "a bundle"
    (target / "wheels").mkdir(parents=True)
    for name in ("wheels/torch-2.whl", "wheels/llama_cpp_python-0.3.36-py3-none-any.whl", "llama.tar.gz"):
        (target / name).write_text(name)
    write_manifest(target)
    return target


def write_manifest(folder: Path, **changes: object) -> None:
    files = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, sha256_of(path)]
        for path in folder.rglob("*")
        if path.is_file() and path.name != "tunesmith-bundle.json"
    }
    options = list(choose_build("cpu", flags=ZEN3).options)
    bundle = offline.Bundle(offline.python_name(), offline.platform_name(), "torch==2.13.0", "cpu", options, files)
    (folder / "tunesmith-bundle.json").write_text(json.dumps({**asdict(bundle), **changes}))


def test_a_whole_bundle_opens(folder: Path) -> None:
    bundle = offline.open_bundle(folder)
    assert bundle.torch == "torch==2.13.0"
    assert len(bundle.files) == 3
    assert offline.llama_wheel_in(folder).name.startswith("llama_cpp_python")
    assert offline.pip_options(folder) == ["--no-index", "--find-links", str(folder.resolve() / "wheels")]


def _cut(folder: Path) -> None:
    (folder / "wheels" / "torch-2.whl").write_text("wheels/torch")


def _flip(folder: Path) -> None:
    (folder / "wheels" / "torch-2.whl").write_text("wheels/torch-3.whl")


def _lose(folder: Path) -> None:
    (folder / "llama.tar.gz").unlink()


def _lose_manifest(folder: Path) -> None:
    (folder / "tunesmith-bundle.json").unlink()


def _cut_manifest(folder: Path) -> None:
    path = folder / "tunesmith-bundle.json"
    path.write_text(path.read_text()[:-40])


def _escape(folder: Path) -> None:
    write_manifest(folder, files={"../outside": [1, "0"]})


def _other_python(folder: Path) -> None:
    write_manifest(folder, python="3.9")


def _other_system(folder: Path) -> None:
    write_manifest(folder, platform="plan9-vax")


def _nonsense(folder: Path) -> None:
    write_manifest(folder, files=[1, 2])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_cut, "torch-2.whl is damaged"),
        (_flip, "torch-2.whl is damaged"),
        (_lose, "lacks llama.tar.gz"),
        (_lose_manifest, "not a finished bundle"),
        (_cut_manifest, "is damaged"),
        (_escape, "lacks ../outside"),
        (_other_python, "for Python 3.9"),
        (_other_system, "plan9-vax"),
        (_nonsense, "is damaged"),
    ],
)
def test_damage_is_named(folder: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(folder)
    with pytest.raises(SetupError) as caught:
        offline.open_bundle(folder)
    assert sentence in caught.value.sentence
    assert "bundle" in caught.value.fix


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not a finished bundle"):
        offline.open_bundle(tmp_path / "nowhere")


def test_the_bundled_wheel_serves_newer_processors_only(folder: Path) -> None:
    bundle = offline.open_bundle(folder)
    assert offline.serves(bundle, choose_build("cpu", flags=ZEN3))
    assert offline.serves(bundle, choose_build("cpu", flags=f"{ZEN3} avx_vnni"))
    assert not offline.serves(bundle, choose_build("cpu", flags="sse4_2 avx"))
    assert not offline.serves(bundle, choose_build("cpu", "vulkan", flags=ZEN3))
