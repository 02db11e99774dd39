"""A folder with everything the set-up needs: `bundle` fills it, `--offline` checks and uses it without a network."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from installers.environment import pip
from installers.failures import SetupError
from installers.llama_build import Build
from installers.llama_wheel import sha256_of
from installers.places import Places
from installers.runner import Runner

_MANIFEST = "tunesmith-bundle.json"
_AGAIN = "Make the folder again on a connected computer: python3 installers/bootstrap.py bundle FOLDER"


@dataclass(frozen=True)
class Bundle:
    """What the manifest says.

    Attributes:
        python: `3.11`, the Python whose wheels these are.
        platform: `linux-x86_64`.
        torch: the exact requirement.
        llama_options: how the llama-cpp-python wheel was compiled.
        files: path inside the folder to [bytes, sha256].
    """

    python: str
    platform: str
    torch: str
    llama_backend: str
    llama_options: list[str]
    files: dict[str, list[int | str]]
    version: int = 1


def python_name() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def platform_name() -> str:
    return f"{platform.system()}-{platform.machine()}".lower()


def open_bundle(folder: Path, show: Callable[[str], None] = lambda text: None) -> Bundle:
    """Read the manifest and check every file against it.

    Raises:
        SetupError: not a bundle, for another Python or system, or damaged; names the file.
    """
    try:
        found = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        bundle = Bundle(**found)
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in bundle.files.items()}
    except FileNotFoundError as error:
        raise SetupError(f"{folder} is not a finished bundle: {_MANIFEST} is missing.", _AGAIN) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SetupError(f"{folder / _MANIFEST} is damaged.", _AGAIN) from error
    if (bundle.python, bundle.platform) != (python_name(), platform_name()):
        raise SetupError(
            f"This bundle is for Python {bundle.python} on {bundle.platform}; here it is Python {python_name()} on "
            f"{platform_name()}.",
            f"Run the installer with Python {bundle.python}, or make the bundle with the same Python and system.",
        )
    for number, (name, (size, digest)) in enumerate(files.items(), 1):
        show(f"checking file {number} of {len(files)}")
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute() or not path.is_file():
            raise SetupError(f"The bundle lacks {name}.", _AGAIN)
        if path.stat().st_size != size or sha256_of(path) != digest:
            raise SetupError(f"The bundle's {name} is damaged.", _AGAIN)
    return bundle


def pip_options(folder: Path) -> list[str]:
    """Options that keep pip away from the network."""
    return ["--no-index", "--find-links", str(folder.resolve() / "wheels")]


def serves(bundle: Bundle, build: Build) -> bool:
    """Whether the bundled llama-cpp-python needs nothing that this computer's processor lacks."""
    return bundle.llama_backend == build.backend and all(
        option in build.options for option in bundle.llama_options if option.endswith("=ON")
    )


def llama_wheel_in(folder: Path) -> Path:
    return next((folder / "wheels").glob("llama_cpp_python-*.whl"))


def make_bundle(
    folder: Path,
    places: Places,
    runner: Runner,
    *,
    requirements: list[str],
    torch: str,
    torch_options: list[str],
    wheel: Path,
    build: Build,
    archive: Path,
) -> int:
    """Download every wheel and write the manifest last; returns the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MANIFEST).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder, ignore_cleanup_errors=True) as name:
        part = Path(name) / "wheels"
        part.mkdir()
        shutil.copy2(wheel, part / wheel.name)
        download = [*pip(places), "download", "--progress-bar", "raw", "-c", str(places.constraints), "-d", str(part)]
        runner.run([*download, *torch_options, torch], "download PyTorch")
        runner.run(
            [*download, *torch_options, "--find-links", str(part), torch, *requirements], "download the libraries"
        )
        # What a build of the archive would need, for a computer whose processor is older than this one's.
        runner.run([*download, "scikit-build-core[pyproject]", "cmake", "ninja"], "download the build tools")
        shutil.copy2(archive, Path(name) / archive.name)
        for item in (folder / "wheels", folder / archive.name):
            if item.exists():
                os.replace(item, Path(name) / f"old-{item.name}")
        os.replace(part, folder / "wheels")
        os.replace(Path(name) / archive.name, folder / archive.name)
    return _write_manifest(folder, torch, build, archive.name)


def _write_manifest(folder: Path, torch: str, build: Build, archive: str) -> int:
    paths = [*sorted((folder / "wheels").iterdir()), folder / archive]
    files: dict[str, list[int | str]] = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, sha256_of(path)] for path in paths
    }
    bundle = Bundle(python_name(), platform_name(), torch, build.backend, list(build.options), files)
    part = folder / f"{_MANIFEST}.part"
    part.write_text(json.dumps(asdict(bundle), indent=1), encoding="utf-8")
    os.replace(part, folder / _MANIFEST)
    return sum(path.stat().st_size for path in paths)
