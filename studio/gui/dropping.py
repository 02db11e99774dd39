"""What a dropped or opened thing is, and where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.errors import UserError

Kind = Literal["project", "run", "bundle", "model", "gguf", "data"]


@dataclass(frozen=True)
class Dropped:
    """A thing and what it is.

    Attributes:
        path: where it lies; for a run its folder.
        kind: decides where it leads.
        sentence: what letting go of it does.
    """

    path: Path
    kind: Kind
    sentence: str


def recognise(path: Path) -> Dropped:
    """What lies at `path`, by looking.

    Raises:
        UserError: it is nothing that can be used here.
    """
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror}.", "Check that you may read it.") from error


def _of_folder(folder: Path) -> Dropped:
    if (folder / "project.yaml").is_file():
        return Dropped(folder, "project", f"Open the project {folder.name}")
    if (folder / "run.yaml").is_file():
        return Dropped(folder, "run", f"Open the run {folder.name}")
    if (folder / "config.json").is_file():
        return Dropped(folder, "model", f"Tune the model {folder.name}")
    raise UserError(
        f"{folder.name} is neither a project nor a model folder.",
        "A project holds project.yaml, a model folder config.json and .safetensors files.",
    )


def _of_file(path: Path) -> Dropped:
    if not path.exists():
        raise UserError(f"{path.name} is not there any more.", "Choose it again.")
    suffix = path.suffix.lower()
    if suffix == ".tunesmith":
        return Dropped(path, "bundle", f"Open the project file {path.name}")
    if path.name == "project.yaml":
        return Dropped(path.parent, "project", f"Open the project {path.parent.name}")
    with path.open("rb") as file:
        is_gguf = file.read(4) == b"GGUF"
    if is_gguf:
        return Dropped(path, "gguf", f"Chat with {path.name}")
    if suffix == ".safetensors":
        return _of_folder(path.parent)
    return Dropped(path, "data", f"Import {path.name}")
