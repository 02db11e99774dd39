"""What works on this computer, what does not, and the fix: `tunesmith doctor`, and the installer's self-test.

The parts of this process are here; what loads torch, Qt or llama.cpp runs in children (`doctor_child`), two at a time,
so that a crash in one of them is a line in the report.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from studio import paths
from studio.machine import llama_health
from studio.machine.compiled import compiled_path, load_compiled

_CHILD_SECONDS = 240.0
REPAIR = "Run: python3 installers/bootstrap.py --no-start"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the program on this computer.

    Attributes:
        works: None where it does not apply here, or cannot be told.
        detail: what was found, in a few words.
        fix: what to do when it does not work; with `works` None, what would give more.
        packages: what to install again should it be broken.
        is_essential: nothing runs without it.
    """

    name: str
    works: bool | None
    detail: str
    fix: str = ""
    packages: tuple[str, ...] = ()
    is_essential: bool = False


def examine(*, is_quick: bool = False) -> list[Part]:
    """Every part, in the order a person reads them. Quick: nothing heavier than importing torch, about two seconds."""
    checks: list[Callable[[], list[Part]]] = [
        lambda: [python_part()],
        lambda: _child("torch", ["PyTorch", "GPU match", "4-bit quantisation"], ("torch", "bitsandbytes"), is_quick),
        _installed_libraries if is_quick else _libraries,
        lambda: [llama_part(is_quick=is_quick)],
        lambda: [converter_part()] if is_quick else _child("converter", ["converter"], ()),
        lambda: [compiled_part()],
        lambda: _child("window", ["window"], ("pyside6-essentials", "shiboken6")),
        lambda: [display_part(), folders_part(), disk_part(), memory_part()],
    ]
    with ThreadPoolExecutor(2) as pool:
        return [part for parts in pool.map(lambda check: check(), checks) for part in parts]


def python_part() -> Part:
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Part("Python", fits, version, "" if fits else "Use Python 3.11, 3.12 or 3.13.", is_essential=True)


LIBRARIES = ("transformers", "peft", "accelerate", "datasets", "gguf")


def _libraries() -> list[Part]:
    return _child("libraries", list(LIBRARIES), LIBRARIES)


def _installed_libraries() -> list[Part]:
    """Their versions only: the installer has already compared their files."""
    parts = []
    for name in LIBRARIES:
        try:
            parts.append(Part(name, True, metadata.version(name)))
        except metadata.PackageNotFoundError:
            parts.append(Part(name, False, "not installed", REPAIR, (name,), True))
    return parts


def llama_part(*, is_quick: bool) -> Part:
    """A trial decode in a child, or what was found the last time."""
    try:
        version = metadata.version("llama-cpp-python")
    except metadata.PackageNotFoundError:
        return Part("llama.cpp", False, "llama-cpp-python is not installed", REPAIR, ("llama-cpp-python",))
    health = llama_health.ensure() if is_quick else llama_health.probe()
    fix = "" if health.works else "Install it again for this processor: python3 installers/bootstrap.py --no-start"
    packages = () if health.works else ("llama-cpp-python",)
    return Part("llama.cpp", health.works, f"llama-cpp-python {version} {health.detail}", fix, packages)


def converter_dir() -> Path:
    """Where the installer puts llama.cpp's converter."""
    return Path(sys.prefix) / "share" / "tunesmith" / "llama.cpp"


def converter_part() -> Part:
    """Whether every file the installer wrote is there."""
    try:
        record = json.loads((converter_dir() / "VERSION").read_text(encoding="utf-8"))
        lost = [name for name, size in record["files"].items() if _size(converter_dir() / name) != size]
    except (OSError, ValueError, KeyError):
        return Part("converter", False, "llama.cpp's converter is not there", REPAIR)
    if lost:
        return Part("converter", False, f"{len(lost)} of its files are gone or cut short, such as {lost[0]}", REPAIR)
    return Part("converter", True, f"llama.cpp's, of llama-cpp-python {record['llama_cpp_python']}")


def compiled_part() -> Part:
    """The compiled step of streamed training; without it torch does the same in more time."""
    path = compiled_path()
    if path is None:
        again = "-m pip install --no-deps --no-build-isolation -e"
        fix = f"With a C compiler installed, run: {sys.executable} {again} {Path(paths.__file__).parent.parent}"
        return Part("compiled steps", None, "not compiled: streamed training on the processor is slower", fix)
    try:
        load_compiled(path)
    except OSError as error:
        return Part("compiled steps", False, str(error), REPAIR, ("tunesmith",))
    return Part("compiled steps", True, "streamed training updates weights in one pass")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def display_part() -> Part:
    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return Part("display", True, "there is one")
    return Part("display", None, "none: the command line works, the window does not", "See: tunesmith --help")


def folders_part() -> Part:
    """Whether settings, caches and logs can be written."""
    for find in (paths.config_dir, paths.cache_dir, paths.log_dir):
        try:
            with tempfile.TemporaryFile(dir=find()):
                pass
        except OSError as error:
            where = error.filename or "a folder of yours"
            fix = "Give yourself the right to write there, or set TUNESMITH_HOME to a folder of your own."
            return Part("folders", False, f"{where} cannot be written ({error.strerror})", fix, is_essential=True)
    return Part("folders", True, f"settings, caches and logs can be written ({paths.config_dir()})")


def disk_part(lowest: int = 2_000_000_000) -> Part:
    """Free space where caches and projects go."""
    free = {str(path): shutil.disk_usage(path).free for path in (paths.cache_dir(), Path.cwd())}
    least = min(free, key=lambda path: free[path])
    detail = f"{free[least] / 1e9:.0f} GB free"
    if free[least] < lowest:
        return Part("disk", False, f"{detail} at {least}", "Free some space: checkpoints and exports need gigabytes.")
    return Part("disk", True, detail)


def memory_part(lowest: int = 4_000_000_000) -> Part:
    """Installed and free memory."""
    import psutil

    memory = psutil.virtual_memory()
    detail = f"{memory.total / 1e9:.0f} GB, {memory.available / 1e9:.0f} GB free"
    if memory.total < lowest:
        return Part("memory", None, detail, "Under 4 GB only the smallest models can be trained.")
    return Part("memory", True, detail)


def _child(job: str, names: list[str], packages: tuple[str, ...], is_quick: bool = False) -> list[Part]:
    """Parts that a child reports, a JSON line each; those it did not get to share its ending."""
    command = [sys.executable, "-m", "studio.machine.doctor_child", job, *(["--quick"] if is_quick else [])]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=_CHILD_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            cwd=Path(paths.__file__).resolve().parent.parent,
        )
        output, cause = done.stdout, llama_health.ending(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as error:
        output, cause = _text(error.stdout), f"it hung for {_CHILD_SECONDS:.0f} s"
    reported = [_part_of(line) for line in output.splitlines() if line.startswith('{"name"')]
    silent = [name for name in names if name not in {part.name for part in reported}]
    if is_quick:
        silent = silent[:1] if not reported else []
    # The first name is what the rest of the child stands on.
    return reported + [Part(name, False, cause, REPAIR, packages, name == names[0]) for name in silent]


def _part_of(line: str) -> Part:
    found = json.loads(line)
    return Part(**{**found, "packages": tuple(found["packages"])})


def _text(output: str | bytes | None) -> str:
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""


def main() -> None:
    """Print every part as one JSON document: how the installer asks, without the command line's libraries."""
    parts = examine(is_quick="--quick" in sys.argv[1:])
    sys.stdout.write(json.dumps([asdict(part) for part in parts], indent=1) + "\n")


if __name__ == "__main__":
    main()
