"""What pip is asked for: the project's own declaration in pyproject.toml, less what has a step of its own."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from installers.installed import normal

_OWN_STEP = ("torch", "llama-cpp-python")


def requirements(pyproject: Path, *, with_dev: bool) -> list[str]:
    """Direct requirements; their exact versions come from the constraints file."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    if with_dev:
        wanted += project["optional-dependencies"]["dev"]
    return [line for line in wanted if _name(line) not in _OWN_STEP]


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return normal(match[0]) if match else ""
