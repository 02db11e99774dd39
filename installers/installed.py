"""What is installed in `.venv`, and which packages lost files. Runs itself inside the environment to find out.

The files are compared with each package's own list (RECORD), so that a deleted or half-written package is found in
half a second without importing anything.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from installers.failures import SetupError


def survey(python: Path, root: Path) -> dict[str, str]:
    """Installed packages of another interpreter: name to version, with a `?` after it when files are missing or cut."""
    command = [str(python), "-c", "from installers.installed import main; main()"]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            env=environment,
            cwd=root,
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise SetupError(
            "The environment's Python does not answer.", "Delete the folder .venv and run the same command again."
        ) from error
    return {str(name): str(version) for name, version in found.items()}


def damaged(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Packages to install again: expected ones that are missing, of another version, or lost files."""
    return [name for name, version in sorted(expected.items()) if found.get(name) != version]


def main() -> None:
    """Print this environment's survey as JSON."""
    found = {}
    for distribution in metadata.distributions():
        name = normal(distribution.metadata["Name"] or "")
        if name and str(distribution.locate_file("")).startswith(sys.prefix):
            found[name] = distribution.version + ("?" if _missing(distribution) else "")
    sys.stdout.write(json.dumps(found))


def _missing(distribution: metadata.Distribution) -> list[str]:
    """Files of the package's list that are gone or have another size; compiled bytecode may come and go."""
    record = distribution.read_text("RECORD")
    if not record:
        return ["RECORD"]
    missing = []
    for row in csv.reader(io.StringIO(record)):
        if not row or row[0].endswith(".pyc"):
            continue
        try:
            size = os.stat(str(distribution.locate_file(row[0]))).st_size
        except OSError:
            missing.append(row[0])
            continue
        # pip rewrites the first line of scripts, so only package files carry a size that must hold.
        if len(row) > 2 and row[2] and not row[0].startswith("..") and size != int(row[2]):
            missing.append(row[0])
    return missing


def normal(name: str) -> str:
    """A package's name the way the index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
