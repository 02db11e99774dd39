"""Runs one command: everything it says goes to the log, the gist to the live line, its tail into the error."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from installers.failures import SetupError, explain

_TAIL_LINES = 400
_HOURS_LIMIT = 3.0
# Settings of the person's own shell that would send packages elsewhere or bring foreign ones in.
_HARMFUL = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "PIP_ROOT",
    "PIP_CONSTRAINT",
    "PIP_REQUIREMENT",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_NO_DEPS",
    "PIP_PYTHON",
    "PIP_REPORT",
    "PIP_DRY_RUN",
)


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what would mislead pip or Python, as UTF-8."""
    environment = {key: value for key, value in os.environ.items() if key.upper() not in _HARMFUL}
    return {
        **environment,
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        **extra,
    }


class Runner:
    """Runs commands for one set-up."""

    def __init__(self, log: Path, show: Callable[[str], None], *, compiler_fix: str = "") -> None:
        self.log = log
        self._show = show
        self._compiler_fix = compiler_fix

    def run(self, command: list[str], step: str, *, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run to the end and return the last lines.

        Raises:
            SetupError: it failed; the sentence is read off its output.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n== {time.strftime('%Y-%m-%d %H:%M:%S')} {step}\n$ {' '.join(command)}\n")
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=env or clean_environment(),
                cwd=cwd,
                encoding="utf-8",
                errors="replace",
            )
            try:
                tail = self._follow(process, log.write)
            except BaseException:
                _stop(process)
                raise
        output = "\n".join(tail)
        if process.returncode == 0:
            return output
        is_bundle = "--no-index" in command and "No matching distribution" in output
        error = _incomplete_bundle(output) if is_bundle else explain(output, step, compiler_fix=self._compiler_fix)
        error.last_lines = tuple(tail)[-15:]
        raise error

    def _follow(self, process: subprocess.Popen[str], write: Callable[[str], object]) -> deque[str]:
        """Read line by line in a thread, so that the live line also moves while the command is silent."""
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_pump, args=(process, lines), daemon=True)
        reader.start()
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        gist, heard, limit = "starting", time.monotonic(), time.monotonic() + _HOURS_LIMIT * 3600
        while True:
            try:
                line = lines.get(timeout=0.5)
            except queue.Empty:
                quiet = time.monotonic() - heard
                self._show(gist + (f" (no news for {quiet:.0f} s)" if quiet > 90 else ""))
                if time.monotonic() > limit:
                    raise explain("Read timed out", "waiting") from None
                continue
            if line is None:
                break
            heard = time.monotonic()
            gist = gist_of(line) or gist
            if not line.startswith("Progress "):
                write(line)
                tail.append(line.rstrip())
            self._show(gist)
        process.wait()
        return tail


def _incomplete_bundle(output: str) -> SetupError:
    match = re.search(r"No matching distribution found for (\S+)", output)
    return SetupError(
        f"The offline folder has no wheel of {match[1] if match else 'a package'} for this Python.",
        "Make it again from this version of Tunesmith: python3 installers/bootstrap.py bundle FOLDER",
    )


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    if process.poll() is None:
        process.kill()


def gist_of(line: str) -> str:
    """What one line of pip's or the compiler's output means to the person, empty when nothing."""
    text = line.strip()
    match = re.match(r"Progress (\d+) of (\d+)", text)
    if match:
        return f"downloaded {int(match[1]) / 1e6:.0f} of {int(match[2]) / 1e6:.0f} MB"
    match = re.match(r"\[(\d+)/(\d+)\] ", text)
    if match:
        return f"compiled {match[1]} of {match[2]} files"
    match = re.match(r"(Collecting|Downloading|Processing|Using cached) (\S+)(.*)", text)
    if match:
        size = re.search(r"\(([\d.]+ [kMG]?B)\)", match[3])
        return f"{match[1].lower()} {Path(match[2]).name}" + (f" ({size[1]})" if size else "")
    match = re.match(r"Installing collected packages: (.*)", text)
    if match:
        return f"unpacking {match[1].count(',') + 1} packages"
    match = re.match(r"(Installing build dependencies|Building wheels? for|Preparing metadata)", text)
    return match[1].lower() if match else ""
