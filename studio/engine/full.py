"""Full fine-tuning: the whole model in fp32, saved as a model folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from studio.engine.adapters import checkpoint_activations
from studio.engine.load import load_base
from studio.engine.prepared import Base, Prepared
from studio.models.facts import tensor_headers

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}


def prepare_full(base: Base) -> Prepared:
    """Load every weight in fp32 and make it trainable; a checkpoint's weights take the base's place."""
    device = torch.device("cpu") if base.is_sharded else base.device
    model: Any = load_base(base.resume or base.folder, dtype="float32", device=device)
    model.requires_grad_(True)
    if base.activation_checkpointing:
        checkpoint_activations(model)
    return Prepared(model=model, save_weights=model_saver(model, base))


def model_saver(model: Any, base: Base, *, kept: torch.dtype = torch.float32) -> Callable[[Path, bool], None]:
    """What writes the whole model as a folder: the result in the base's own dtype, a checkpoint in `kept`."""
    stored = stored_dtype(base.folder)

    def save(folder: Path, is_final: bool) -> None:
        # On the CPU: a second copy beside the weights may not fit the card, and a run must not die of being saved.
        dtype = stored if is_final else kept
        found = model.state_dict()
        # Tied weights stay one tensor, so that they are written once.
        copies = {(t.data_ptr(), t.shape): t.detach().to("cpu", dtype) for t in found.values()}
        state = {name: copies[t.data_ptr(), t.shape] for name, t in found.items()}
        before, model.config.dtype = model.config.dtype, dtype
        model.save_pretrained(folder, state_dict=state, max_shard_size="5GB")
        model.config.dtype = before

    return save


def stored_dtype(folder: Path) -> torch.dtype:
    """The dtype that most of the base's numbers are stored in."""
    counts: dict[str, int] = {}
    for header in tensor_headers(folder).values():
        begin, end = header["data_offsets"]
        counts[header["dtype"]] = counts.get(header["dtype"], 0) + end - begin
    return _DTYPES.get(max(counts, key=lambda dtype: counts[dtype]), torch.bfloat16)
