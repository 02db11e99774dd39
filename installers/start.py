"""What runs once everything is set up: the window, the demo where there is no display, or the test suite."""

from __future__ import annotations

import os
import subprocess
import sys

from installers.places import Places
from installers.runner import clean_environment


def has_display(environment: dict[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Windows and macOS always show windows; elsewhere a display server says so in the environment."""
    env = dict(os.environ) if environment is None else environment
    return platform in ("win32", "darwin") or bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def program(places: Places, *, with_display: bool) -> list[str]:
    """The command that starts the program: the window where there is one to show, else the demo in the terminal."""
    has_window = any((places.root / "studio" / "gui").glob("*.py"))
    return [str(places.python), "-m", "studio", *([] if with_display and has_window else ["demo"])]


def run_program(places: Places) -> int:
    """Start Tunesmith and return its exit code."""
    with_display = has_display()
    command = program(places, with_display=with_display)
    if not with_display:
        print("This computer has no display: running the demo instead of the window.\n", flush=True)
    return _run(command, places)


def run_tests(places: Places, arguments: list[str]) -> int:
    """The whole suite; Qt draws into memory where there is no display."""
    extra = {} if has_display() else {"QT_QPA_PLATFORM": "offscreen"}
    return _run([str(places.python), "-m", "pytest", *side_by_side(os.cpu_count()), *arguments], places, **extra)


def side_by_side(cores: int | None) -> list[str]:
    """Pytest's words for several processes, each with whole files; more than four would not fit into small memories.

    Files go in their order, so that those of a few long tests do not come last, when nothing is left for the others.
    """
    if not cores or cores < 2:
        return []
    return ["-n", str(min(cores, 4)), "--dist", "loadfile", "--no-loadscope-reorder"]


def _run(command: list[str], places: Places, **extra: str) -> int:
    process = subprocess.Popen(command, cwd=places.root, env={**clean_environment(), **extra})
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the child got the same Ctrl-C and says what it means to it
