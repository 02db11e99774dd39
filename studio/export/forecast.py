"""What an export will take on disk, before anything is loaded."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

from studio.errors import Problem, UserError
from studio.export.quant_types import QuantType
from studio.export.target import Output
from studio.models.facts import tensor_headers
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
            "Leave a type out, free some space, or choose another disk with --out.",
            problems=parts,
        )
