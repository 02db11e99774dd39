"""The set-up itself: eight steps when something changed, a look and a self-test when nothing did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installers import compiler, converter, llama_wheel
from installers.console import Console
from installers.environment import (
    check_disk,
    check_modules,
    check_writable,
    make_environment,
    python_works,
)
from installers.facts import find_facts
from installers.installed import damaged, survey
from installers.llama_build import choose_build
from installers.packages import Packages
from installers.places import Places
from installers.requirements import requirements
from installers.runner import Runner
from installers.self_test import Result, examine, packages_to_mend, report
from installers.stamp import Stamp, key_of, read_stamp, write_stamp
from installers.torch_choice import TORCH_VERSION, choose_torch

NUM_STEPS = 8
_MANY = 20  # with more damaged packages than this the environment is made whole by a full run


@dataclass(frozen=True)
class Options:
    """What the person asked for; an empty backend means as last time, and `auto` the first time."""

    backend: str = ""
    llama_backend: str = ""
    offline: Path | None = None
    with_dev: bool = False


class Setup:
    """Makes `.venv` match this checkout and this computer."""

    def __init__(self, places: Places, options: Options, console: Console) -> None:
        self._places, self._options, self._console = places, options, console
        self._runner = Runner(places.log, console.live, compiler_fix=compiler.compiler_fix())
        self._stamp = read_stamp(places.stamp)
        self._backend = options.backend or (self._stamp.backend if self._stamp else "auto")
        self._llama_backend = options.llama_backend or (self._stamp.llama_backend if self._stamp else "auto")
        self._with_dev = options.with_dev or bool(self._stamp and self._stamp.has_dev)
        self.choice = choose_torch(find_facts(), self._backend)
        self.build = choose_build(self.choice.backend, self._llama_backend)
        self.key = key_of(places, self.choice, self.build.key)
        self.packages = Packages(
            places, self._runner, console, choice=self.choice, build=self.build, folder=options.offline
        )
        self._torch = f"torch=={TORCH_VERSION}"

    @property
    def is_current(self) -> bool:
        """Whether the last set-up still holds: then only a look is needed."""
        stamp = self._stamp
        return bool(stamp and stamp.key == self.key and stamp.has_dev >= self._with_dev and python_works(self._places))

    def run(self) -> list[Result]:
        """Set up what is missing, then examine; returns the parts."""
        if self.is_current and self._look():
            return self._examine(is_quick=True)
        self._console.total = NUM_STEPS + (1 if self._console.times else 0)
        self.check()
        self.make_environment()
        self._install_torch()
        wheel = self.get_llama()
        self._install_libraries(wheel)
        self._install_tunesmith()
        self._unpack_converter()
        return self._examine(is_quick=False)

    def _look(self) -> bool:
        """Compare the environment with the last set-up and mend the little that is broken; False when it is much."""
        assert self._stamp
        self._console.total = 2
        with self._console.step("Checking the environment") as step:
            broken = damaged(self._stamp.packages, survey(self._places.python, self._places.root))
            if len(broken) > _MANY or "pip" in broken:
                step.outcome = f"{len(broken)} packages are damaged: setting up again"
                return False
            if broken:
                self.packages.reinstall(broken)
                step.outcome = "mended " + ", ".join(broken)
            if not converter.is_whole(self._places.converter):
                converter.unpack_converter(self.packages.archive(), self._places.converter)
                step.outcome = f"{step.outcome}, the converter" if broken else "mended the converter"
        return True

    def check(self) -> None:
        """Step: what can be known before anything is downloaded."""
        with self._console.step("Checking this computer"):
            check_modules()
            check_writable(self._places.root)
            check_writable(self._places.cache)
            done = self._places.stamp.exists()
            check_disk(self._places.root, 1.0 if done else self.choice.needs_gigabytes)
            self._console.say(f"PyTorch for {self.choice.label}: {self.choice.why}. {self.choice.advice}".rstrip())
            if not self.packages.bundle and llama_wheel.cached_wheel(self._places, self.build) is None:
                problem = compiler.compiler_problem()
                if problem:
                    raise problem

    def make_environment(self) -> None:
        """Step: `.venv` with a known pip."""
        with self._console.step("Making the environment (.venv)") as step:
            step.outcome = make_environment(self._places, self._runner, self.packages.sources())

    def _install_torch(self) -> None:
        # First and alone: pulled in by another package, it would be the build that the package index likes best.
        with self._console.step(f"Installing PyTorch {TORCH_VERSION} ({self.choice.label})"):
            self._torch, options = self.packages.torch_source()
            self.packages.install([*options, self._torch], "install PyTorch")

    def get_llama(self) -> Path:
        """Step: the llama-cpp-python wheel."""
        with self._console.step(f"Getting llama.cpp ({self.build.backend.upper()})") as step:
            return self.packages.llama_wheel(step)

    def _install_libraries(self, wheel: Path) -> None:
        with self._console.step("Installing the libraries"):
            wanted = requirements(self._places.pyproject, with_dev=self._with_dev)
            self.packages.install([*self.packages.sources(), *wanted, self._torch, str(wheel)], "install the libraries")

    def _install_tunesmith(self) -> None:
        with self._console.step("Installing Tunesmith"):
            self.packages.install_tunesmith()

    def _unpack_converter(self) -> None:
        """The last step that changes the environment: then what is there is compared file by file, and stamped."""
        with self._console.step("Unpacking the converter") as step:
            if not converter.is_whole(self._places.converter):
                converter.unpack_converter(self.packages.archive(), self._places.converter)
            found = survey(self._places.python, self._places.root)
            broken = [name for name, version in found.items() if version.endswith("?")]
            if broken:
                self.packages.reinstall(broken)
                step.outcome = "mended " + ", ".join(broken)
                found = survey(self._places.python, self._places.root)
            self._write_stamp(found)

    def _examine(self, *, is_quick: bool) -> list[Result]:
        with self._console.step("Self-test") as step:
            results = examine(self._places, is_quick=is_quick)
            packages = packages_to_mend(results)
            if packages:
                self._console.live("mending " + ", ".join(packages))
                self.packages.reinstall(packages)
                results = examine(self._places, is_quick=False)
                step.outcome = "reinstalled " + ", ".join(packages)
        report(results, self._console)
        return results

    def _write_stamp(self, found: dict[str, str]) -> None:
        self._stamp = Stamp(self.key, self._with_dev, self._backend, self._llama_backend, self._torch, found)
        write_stamp(self._places.stamp, self._stamp)
