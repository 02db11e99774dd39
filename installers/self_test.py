"""Runs `studio.machine.doctor` in the new environment and shows each part as working or not, with the fix."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field

from installers.console import Console
from installers.failures import SetupError
from installers.places import Places
from installers.runner import clean_environment


@dataclass(frozen=True)
class Result:
    """One part as the doctor reports it; `works` is None where it does not apply here."""

    name: str
    works: bool | None
    detail: str
    fix: str = ""
    packages: list[str] = field(default_factory=list)
    is_essential: bool = False


def examine(places: Places, *, is_quick: bool) -> list[Result]:
    """All parts of the installed program.

    Raises:
        SetupError: the examination itself could not run.
    """
    command = [str(places.python), "-m", "studio.machine.doctor", *(["--quick"] if is_quick else [])]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=600,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=places.root,
            env=clean_environment(),
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError("The self-test did not come to an end.", "Run the same command again.") from error
    with places.log.open("a", encoding="utf-8") as log:
        log.write(f"\n== self-test\n{done.stdout}{done.stderr}\n")
    try:
        return [Result(**part) for part in json.loads(done.stdout)]
    except (ValueError, TypeError) as error:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SetupError(
            f"The self-test could not run ({last}).", "Delete the folder .venv and run the same command again."
        ) from error


def report(results: list[Result], console: Console) -> None:
    """A line a part; the fix below what does not work."""
    width = max(len(result.name) for result in results)
    for result in results:
        word = {True: "works ", False: "BROKEN", None: "   -  "}[result.works]
        console.say(f"  {word}  {result.name.ljust(width)}  {result.detail}")
        if result.fix and result.works is not True:
            console.say(
                f"          {' ' * width}  Fix: {result.fix}"
                if result.works is False
                else f"          {' ' * width}  {result.fix}"
            )


def packages_to_mend(results: list[Result]) -> list[str]:
    """Packages behind what does not work."""
    return sorted({package for result in results if result.works is False for package in result.packages})
