"""Where everything is that the installer reads or writes. Mirrors `studio.paths` without importing it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path


def user_cache(environment: dict[str, str] | None = None, platform: str = sys.platform) -> Path:
    """The folder `studio.paths.cache_dir` would give; `TUNESMITH_HOME` moves it."""
    env = dict(os.environ) if environment is None else environment
    if env.get("TUNESMITH_HOME"):
        return Path(env["TUNESMITH_HOME"]).expanduser() / "cache"
    if platform == "win32":
        return Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tunesmith" / "Cache"
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tunesmith"
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunesmith"


@dataclass(frozen=True)
class Places:
    """All paths of one checkout and one user."""

    root: Path
    cache: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's own interpreter, never looked up on PATH."""
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def log(self) -> Path:
        return self.venv / "install.log"

    @property
    def stamp(self) -> Path:
        """Written last: its presence means the environment was complete."""
        return self.venv / "tunesmith-setup.json"

    @property
    def converter(self) -> Path:
        """Where the exporter looks: `sys.prefix/share/tunesmith/llama.cpp`."""
        return self.venv / "share" / "tunesmith" / "llama.cpp"

    @property
    def constraints(self) -> Path:
        return self.root / "installers" / "constraints.txt"

    @property
    def pyproject(self) -> Path:
        return self.root / "pyproject.toml"

    @property
    def compiled_source(self) -> Path:
        """What is compiled when Tunesmith itself is installed, where there is a compiler."""
        return self.root / "studio" / "engine" / "stream" / "fused_update.c"

    @property
    def wheels(self) -> Path:
        """Built llama-cpp-python wheels, outside the checkout: a second checkout or set-up reuses them."""
        return self.cache / "wheels"

    @property
    def archives(self) -> Path:
        return self.cache / "archives"


def here() -> Places:
    """This checkout, this user."""
    return Places(root=Path(__file__).resolve().parent.parent, cache=user_cache())
