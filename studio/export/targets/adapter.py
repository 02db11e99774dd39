"""The adapter as it was trained, with a card: small, for peft and everything that reads peft's adapters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from studio.errors import UserError
from studio.export.model_card import model_card
from studio.export.quant_types import QuantType
from studio.export.target import Output, Target, Watch
from studio.models.companions import companions, copy_companions
from studio.models.facts import read_json
from studio.project.tuned import Tuned

_FILES = ("adapter_config.json", "adapter_model.safetensors")


def plan(tuned: Tuned, folder: Path, stem: str, quants: list[QuantType]) -> list[Output]:
    """One folder.

    Raises:
        UserError: full weights were trained, so there is no adapter.
    """
    weights = _adapter(tuned)
    size = sum((weights / name).stat().st_size for name in _FILES)
    size += sum(path.stat().st_size for path in companions(tuned.base))
    return [Output(folder / f"{stem}-adapter", size)]


def write(tuned: Tuned, output: Output, watch: Watch, path: Path) -> None:
    """Copy the adapter with the tokenizer and template it was trained with."""
    weights = _adapter(tuned)
    path.mkdir()
    shutil.copyfile(weights / "adapter_model.safetensors", path / "adapter_model.safetensors")
    # No path of this computer travels along.
    config = {**read_json(weights / "adapter_config.json", ""), "base_model_name_or_path": tuned.base_name}
    (path / "adapter_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    copy_companions(tuned.base, path)
    (path / "README.md").write_text(model_card(tuned, "peft"), encoding="utf-8")
    watch.on_progress(output.forecast_bytes, output.forecast_bytes, "")


def _adapter(tuned: Tuned) -> Path:
    if tuned.weights is None or not (tuned.weights / "adapter_config.json").is_file():
        raise UserError(
            f"{tuned.name} has no adapter: it is a full model.",
            "Export a merged model (--to merged) or GGUF (--to gguf).",
        )
    return tuned.weights


TARGET = Target(
    key="adapter",
    title="Adapter",
    summary="Only what was trained; small, and needs the base model beside it.",
    plan=plan,
    write=write,
)
