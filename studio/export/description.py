"""The small files around weights: config, tokenizer, template, licence, for a folder or for the converter."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from studio.models.companions import copy_companions
from studio.models.facts import read_json
from studio.models.stored_weights import is_stored
from studio.project.tuned import Tuned


def describe(tuned: Tuned, folder: Path, config_changes: Mapping[str, Any]) -> None:
    """Put config and companions into `folder`; what comes with full weights goes before the base's."""
    sources = [tuned.weights, tuned.base] if tuned.weights is not None and _is_full(tuned) else [tuned.base]
    config = {**read_json(sources[0] / "config.json", "The weights have no config.json."), **config_changes}
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    for source in sources:
        copy_companions(source, folder)


@contextmanager
def description(tuned: Tuned, config_changes: Mapping[str, Any], beside: Path) -> Iterator[Path]:
    """A folder that describes the tuned model, for the converter: the base's own where it says all, else a copy."""
    if not config_changes and not _is_full(tuned):
        yield tuned.base
        return
    with tempfile.TemporaryDirectory(prefix=".about.", suffix=".part", dir=beside) as name:
        describe(tuned, Path(name), config_changes)
        if (tuned.base / "README.md").is_file():  # the converter reads licence and languages from it
            shutil.copyfile(tuned.base / "README.md", Path(name) / "README.md")
        yield Path(name)


def _is_full(tuned: Tuned) -> bool:
    """Whether the weights are a model folder: an adapter or a streamed run's checkpoint is described by its base."""
    weights = tuned.weights
    return weights is not None and not is_stored(weights) and not (weights / "adapter_config.json").is_file()
