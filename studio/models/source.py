"""From what a person calls a model to the folder it lies in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from studio.errors import UserError
from studio.paths import resources_dir


def resolve_model(
    source: str, revision: str = "", *, on_progress: Callable[[float, float, str], None] | None = None
) -> Path:
    """The folder of a model: a path, or "starter".

    Raises:
        UserError: there is no such folder.
    """
    folder = resources_dir() / "starter" / "model" if source == "starter" else Path(source).expanduser()
    if not folder.is_dir():
        raise UserError(f"There is no model at {source}.", "Name a model folder.")
    return folder
