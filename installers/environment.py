"""Makes and mends `.venv`: checks before anything is downloaded, then an interpreter with a known pip."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from installers.failures import SetupError
from installers.places import Places
from installers.runner import Runner, clean_environment


def check_disk(folder: Path, gigabytes: float) -> None:
    """Refuse before a download that would fill the disk."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f"The disk of {existing} has {free:.1f} GB free, and setting up needs {gigabytes:.0f} GB.",
            "Free some space, or move the checkout to a larger disk; TUNESMITH_HOME moves the caches.",
        )


def check_writable(folder: Path) -> None:
    """Refuse early where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SetupError(
            f"The folder {folder} cannot be written ({error.strerror}).",
            "Move the checkout to a folder of your own, or set TUNESMITH_HOME to one; do not use sudo.",
        ) from error


def check_modules() -> None:
    """Debian and Ubuntu ship Python without the part that makes environments."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise SetupError(
        "This Python cannot make virtual environments: its venv package is not installed.",
        f"Debian, Ubuntu: sudo apt install python{version}-venv. Then run the same command again.",
    )


def python_works(places: Places) -> bool:
    """Whether the environment's interpreter runs, has this Python's version and its own pip."""
    if not places.python.exists():
        return False
    code = "import sys, pip; print(sys.version_info[0], sys.version_info[1], sys.prefix != sys.base_prefix)"
    try:
        done = subprocess.run(
            [str(places.python), "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.split() == [str(sys.version_info[0]), str(sys.version_info[1]), "True"]


def make_environment(places: Places, runner: Runner, pip_options: list[str]) -> str:
    """Make `.venv` where it is missing or broken, with the pinned pip and setuptools; returns how, in a word."""
    outcome = "already there"
    if not python_works(places):
        outcome = "made anew" if places.venv.exists() else ""
        _remove_broken(places)
        # Started from within the old environment, its own interpreter has just been moved away.
        base = getattr(sys, "_base_executable", "") or sys.executable
        runner.run([base, "-m", "venv", str(places.venv)], "make .venv")
        if not python_works(places):
            raise SetupError(
                f"The new environment {places.venv} does not work.",
                "A virus scanner may hold it: exclude the checkout, delete the folder .venv and run again.",
            )
    tools = [f"{name}=={pinned_version(places.constraints, name)}" for name in ("pip", "setuptools")]
    runner.run([*pip(places), "install", *pip_options, *tools], "install pip and setuptools")
    return outcome


def pip(places: Places) -> list[str]:
    """The environment's pip, by interpreter path and module: a script found on PATH may be another's."""
    return [str(places.python), "-m", "pip"]


def pinned_version(constraints: Path, name: str) -> str:
    """The version of one package in the constraints file."""
    match = re.search(
        rf"^{re.escape(name)}==(\S+)", constraints.read_text(encoding="utf-8"), re.MULTILINE | re.IGNORECASE
    )
    assert match, f"installers/constraints.txt does not pin {name}"
    return match[1]


def _remove_broken(places: Places) -> None:
    """Clear a broken environment away, but never a folder that is something else."""
    if not places.venv.exists() and not places.venv.is_symlink():
        return
    log = places.log.read_bytes() if places.log.is_file() else b""
    strangers = (
        {path.name for path in places.venv.iterdir()} - {places.log.name} if places.venv.is_dir() else {"a file"}
    )
    if strangers and not (places.venv / "pyvenv.cfg").is_file() and not (places.venv / "share" / "tunesmith").is_dir():
        raise SetupError(
            f"{places.venv} exists and is not a Python environment.",
            "Move it elsewhere, then run the same command again.",
        )
    broken = places.venv.with_name(f".venv-broken-{os.getpid()}")
    try:
        places.venv.rename(broken)
    except OSError as error:
        raise SetupError(
            f"The broken environment {places.venv} cannot be replaced ({error.strerror}).",
            "Close Tunesmith and every terminal that uses it, then run the same command again.",
        ) from error
    shutil.rmtree(broken, ignore_errors=True)
    if log:
        places.venv.mkdir()
        places.log.write_bytes(log)
