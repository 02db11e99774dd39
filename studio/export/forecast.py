"""What an export will take on disk, before anything is loaded."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from studio.errors import Problem, UserError
from studio.export.quant_types import TYPES, USUAL, QuantType
from studio.export.target import TARGETS, Output, Target
from studio.models.facts import tensor_headers
from studio.paths import nearest_existing
from studio.project.tuned import Tuned

_KEPT_BITS = 32  # vectors and norms stay in fp32
# In types below six bits the output matrix, or the embedding that serves as one, is kept in six.
_HEAD_BITS = 6.56
_HEADS = ("lm_head.weight", "output.weight", "embed_out.weight")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")


def gguf_bytes(tuned: Tuned, quant: QuantType) -> int:
    """Bytes of a GGUF file of a type, tokenizer included."""
    headers = tensor_headers(tuned.base)
    has_head = any(name.endswith(_HEADS) for name in headers)
    bits = 0.0
    for name, header in headers.items():
        is_head = name.endswith(_HEADS) or (name.endswith(_EMBEDDINGS) and not has_head)
        matrix_bits = max(quant.bits, _HEAD_BITS) if is_head else quant.bits
        bits += math.prod(header["shape"]) * (matrix_bits if len(header["shape"]) > 1 else _KEPT_BITS)
    tokenizer = tuned.base / "tokenizer.json"
    return int(bits / 8) + (tokenizer.stat().st_size if tokenizer.is_file() else 0)


@dataclass(frozen=True)
class TargetForecast:
    """What a target would take; `problem` says why it cannot be made of this model."""

    num_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Survey:
    """Everything that an export of a model could make, in figures.

    Attributes:
        tuned: the model.
        folder: where the files would go.
        targets: by the target's key; of those with types, the usual one is counted.
        types: type of GGUF file -> bytes.
        disk_free, disk_total: of the disk the folder lies on.
    """

    tuned: Tuned
    folder: Path
    targets: dict[str, TargetForecast]
    types: dict[str, int]
    disk_free: int
    disk_total: int


def survey(tuned: Tuned, folder: Path) -> Survey:
    """Forecast all targets and types. Reads headers only, but those of every shard; the folder need not exist yet.

    Raises:
        UserError: the base model's weights cannot be read.
    """
    there = nearest_existing(folder)
    disk = shutil.disk_usage(there)
    return Survey(
        tuned=tuned,
        folder=folder,
        targets={key: _forecast(target, tuned, folder) for key, target in TARGETS.all().items()},
        types={name: gguf_bytes(tuned, quant) for name, quant in TYPES.items()},
        disk_free=disk.free,
        disk_total=disk.total,
    )


def _forecast(target: Target, tuned: Tuned, folder: Path) -> TargetForecast:
    try:
        outputs = target.plan(tuned, folder, tuned.name, [TYPES[USUAL]])
    except UserError as error:
        return TargetForecast(problem=error.message)
    return TargetForecast(sum(output.forecast_bytes for output in outputs))


def assert_room(outputs: Iterable[Output], folder: Path) -> None:
    """Refuse before anything is written when the outputs do not fit; nothing else is written anywhere.

    Raises:
        UserError: how much is missing, and for what.
    """
    outputs = list(outputs)
    needed = sum(output.forecast_bytes for output in outputs)
    free = shutil.disk_usage(folder).free
    if needed > free:
        parts = [Problem(output.path.name, f"needs {output.forecast_bytes / 1e9:.2f} GB.") for output in outputs]
        raise UserError(
            f"{(needed - free) / 1e9:.2f} GB are missing on the disk of {folder}: {free / 1e9:.2f} GB are free.",
            "Leave a type out, free some space, or choose a folder on another disk.",
            problems=parts,
        )
