"""Builds llama-cpp-python from its source archive once and keeps the wheel, keyed by all that makes it different."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from installers.compiler import compiler_problem, num_compilers
from installers.failures import SetupError
from installers.llama_build import ARCHIVE, ARCHIVE_SHA256, VERSION, Build
from installers.places import Places
from installers.runner import Runner, clean_environment


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_wheel(places: Places, build: Build) -> Path | None:
    """The finished wheel, None when there is none or its bytes are not what was written."""
    folder = places.wheels / build.key
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        wheel = folder / Path(str(manifest["file"])).name
        return wheel if wheel.stat().st_size == manifest["size"] and sha256_of(wheel) == manifest["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store_wheel(places: Places, build: Build, wheel: Path) -> Path:
    """Put a finished wheel into the cache: written beside, then renamed, so that what exists is complete."""
    places.wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=places.wheels, ignore_cleanup_errors=True) as name:
        part = Path(name) / "content"
        part.mkdir()
        shutil.copy2(wheel, part / wheel.name)
        manifest = {
            "file": wheel.name,
            "size": wheel.stat().st_size,
            "sha256": sha256_of(wheel),
            "options": build.options,
        }
        (part / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        target = places.wheels / build.key
        if target.exists():
            os.replace(target, Path(name) / "damaged")
        os.replace(part, target)
    return target / wheel.name


def build_wheel(
    places: Places, build: Build, archive: Path, runner: Runner, pip: list[str], sources: list[str]
) -> Path:
    """Compile the archive and keep the wheel; `sources` are pip options that say where the build tools come from."""
    problem = compiler_problem()
    if problem:
        raise problem
    with tempfile.TemporaryDirectory(prefix="tunesmith-build-", ignore_cleanup_errors=True) as name:
        env = clean_environment(
            CMAKE_ARGS=" ".join((*build.options, *_without_common(name))),
            CMAKE_BUILD_PARALLEL_LEVEL=str(num_compilers()),
        )
        pins = ["--build-constraint", str(places.constraints)]
        wheel = [*pip, "wheel", "-v", "--no-deps", "--no-cache-dir", *pins, *sources, "-w", name, str(archive)]
        runner.run(wheel, "compile llama.cpp", env=env)
        wheels = list(Path(name).glob("llama_cpp_python-*.whl"))
        if len(wheels) != 1:
            raise SetupError("The build of llama-cpp-python made no wheel.", "Run the same command again.")
        return store_wheel(places, build, wheels[0])


def _without_common(folder: str) -> tuple[str, ...]:
    """The option that reads llama.cmake. CMAKE_ARGS is split at spaces, so it is left out where a path has one."""
    target = Path(folder) / "llama.cmake"
    shutil.copy2(Path(__file__).with_name("llama.cmake"), target)
    return () if " " in str(target) else (f"-DCMAKE_PROJECT_llama_cpp_INCLUDE={target.as_posix()}",)


def fetch_archive(places: Places, runner: Runner, pip: list[str]) -> Path:
    """The source archive, from the cache or the configured package index, checked against its known sum."""
    target = places.archives / ARCHIVE
    if target.is_file() and sha256_of(target) == ARCHIVE_SHA256:
        return target
    places.archives.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=places.archives, ignore_cleanup_errors=True) as name:
        command = [*pip, "download", "--no-deps", "--no-binary", "llama-cpp-python", "--progress-bar", "raw"]
        runner.run([*command, "-d", name, f"llama-cpp-python=={VERSION}"], "fetch llama.cpp")
        return adopt_archive(places, Path(name) / ARCHIVE)


def adopt_archive(places: Places, archive: Path) -> Path:
    """Check an archive and move or copy it to its place in the cache."""
    if not archive.is_file() or sha256_of(archive) != ARCHIVE_SHA256:
        raise SetupError(
            f"The source archive {ARCHIVE} is damaged or not the one this version was tested with.",
            "Run the same command again; if it stays so, your package index serves another file: try another index.",
        )
    places.archives.mkdir(parents=True, exist_ok=True)
    part = places.archives / f".{ARCHIVE}.{os.getpid()}.part"
    shutil.copy2(archive, part)
    os.replace(part, places.archives / ARCHIVE)
    return places.archives / ARCHIVE
