"""From what a person calls a model to a folder on this computer: a folder, the bundled starter, or a Hub name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from studio.errors import UserError
from studio.paths import resources_dir

Progress = Callable[[float, float, str], None]

STARTER = "starter"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def resolve_model(source: str, revision: str = "", *, on_progress: Progress | None = None) -> Path:
    """The folder of a model, downloaded first when it is a Hub name that is not in the cache.

    Args:
        source: a folder, "starter", or a Hub name such as "org/model".
        revision: branch, tag or commit of a Hub model; "" takes the main one.
        on_progress: (bytes done, bytes in all, what) while downloading; may raise `Cancelled`.

    Raises:
        UserError: nothing is there, or it cannot be downloaded; the hint has the way out.
    """
    if source == STARTER:
        return starter_model()
    folder = Path(source).expanduser()
    if source and folder.is_dir():
        return folder.resolve()
    if folder.is_file():
        raise UserError(f"{source} is a file, not a model folder.", _file_hint(folder))
    if not is_hub_name(source):
        raise UserError(f"The model folder {source} is not there.", "Check the path, or name a model on the Hub.")
    from studio.models.hub import fetch  # heavy: huggingface_hub

    return fetch(source, revision, on_progress=on_progress)


def find_model(source: str, revision: str = "") -> Path | None:
    """As `resolve_model`, but nothing is downloaded: None for a Hub model that is not on this computer.

    Raises:
        UserError: the folder that is named is not there.
    """
    if source != STARTER and not Path(source).expanduser().exists() and is_hub_name(source):
        from studio.models.hub import find_cached  # heavy: huggingface_hub

        return find_cached(source, revision)
    return resolve_model(source, revision)


def is_hub_name(source: str) -> bool:
    """Whether `source` could be a Hub name: "model" or "org/model"."""
    return _HUB_NAME.fullmatch(source) is not None


def starter_model() -> Path:
    """The folder of the bundled starter model.

    Raises:
        UserError: this copy of the program came without it.
    """
    folder = resources_dir() / "starter" / "model"
    if not (folder / "config.json").is_file():
        raise UserError("The starter model is missing from this copy of Tunesmith.", "Take a complete copy of it.")
    return folder


def _file_hint(path: Path) -> str:
    if path.suffix == ".gguf":
        return "A GGUF file can be talked to, but only a folder of safetensors can be trained."
    return "Name the folder that holds config.json and the .safetensors files."
