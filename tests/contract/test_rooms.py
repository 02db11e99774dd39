"""The rooms keep apart: imports point downwards, and what is heavy is loaded only where it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "datasets", "pyarrow", "pandas", "duckdb")
HEAVY += ("llama_cpp", "gguf", "PySide6", "pyqtgraph", "huggingface_hub")

# Not pkgutil.walk_packages: it imports every package it walks through, the window's with its Qt as well.
IMPORT_ALL = f"""
import importlib, pkgutil, sys
import studio
def walk(path, prefix):
    for module in pkgutil.iter_modules(path, prefix):
        room = module.name.split(".")[1]
        is_job = module.name.startswith("studio.worker.jobs")
        if room in ("engine", "gui") or module.name.endswith("__main__"):
            continue
        if room == "worker" and not is_job and not module.ispkg:
            continue
        found = importlib.import_module(module.name)
        loaded = [name for name in {HEAVY!r} if name in sys.modules]
        assert not loaded, f"importing {{module.name}} loads {{loaded}}"
        if module.ispkg:
            walk(found.__path__, module.name + ".")
walk(studio.__path__, "studio.")
"""

HELP = f"""
import sys
from studio.cli import run
assert run(["--help"]) == 0
assert not [name for name in {(*HEAVY, "numpy", "yaml")!r} if name in sys.modules]
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_imports_point_downwards() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(program)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]


def test_no_heavy_library_is_imported_at_module_level() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID253", "studio"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


def test_importing_any_room_above_the_engine_loads_nothing_heavy() -> None:
    done = python(IMPORT_ALL)
    assert done.returncode == 0, done.stderr


def test_help_loads_next_to_nothing() -> None:
    done = python(HELP)
    assert done.returncode == 0, done.stderr
