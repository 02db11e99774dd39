"""What a person calls a model."""

from __future__ import annotations

from pathlib import Path

from studio.spec.places import STARTER


def model_words(source: str) -> str:
    """The starter by its title, a folder by its name, a model on the Hub as it is called there."""
    if source == STARTER:
        return "Starter"
    return Path(source).name if Path(source).is_absolute() else source or "none"


def model_name(source: str) -> str:
    """The same without its maker, wherever the folder was made."""
    return model_words(source.replace("\\", "/").rstrip("/").rpartition("/")[2])
