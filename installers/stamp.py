"""The file that says what a finished set-up was made of; as long as it still holds, a second run is quick."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from installers.places import Places
from installers.torch_choice import TorchChoice

INSTALLER_VERSION = 1  # raise it when a finished set-up of the version before must be done again


@dataclass(frozen=True)
class Stamp:
    """What was set up.

    Attributes:
        key: digest of everything the set-up was made from.
        has_dev: whether the test tools are in.
        backend: the `--backend` the person asked for, remembered for the next plain run.
        llama_backend: likewise `--llama-backend`.
        torch: the requirement that was installed.
        packages: name to version of everything in the environment.
    """

    key: str
    has_dev: bool
    backend: str
    llama_backend: str
    torch: str
    packages: dict[str, str]


def key_of(places: Places, choice: TorchChoice, build_key: str) -> str:
    """Changes when pins, dependencies, what is compiled, Python, hardware, installer or the checkout's place change."""
    digest = hashlib.sha256()
    for part in (
        places.constraints.read_bytes(),
        places.pyproject.read_bytes(),
        places.compiled_source.read_bytes(),
        sys.version.encode(),
        repr((choice.backend, choice.tags, build_key, INSTALLER_VERSION)).encode(),
        str(places.root).encode("utf-8", "surrogatepass"),
    ):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def read_stamp(path: Path) -> Stamp | None:
    """The last finished set-up, None when there is none or the file is damaged."""
    try:
        return Stamp(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_stamp(path: Path, stamp: Stamp) -> None:
    """Written last and atomically."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(asdict(stamp), indent=1, sort_keys=True), encoding="utf-8")
    os.replace(part, path)
