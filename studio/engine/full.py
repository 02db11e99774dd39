"""Full fine-tuning: the whole model in fp32, saved as a model folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from studio.engine.adapters import checkpoint_activations
from studio.engine.load import keeps_exact, load_base
from studio.engine.prepared import Base, Prepared
from studio.models.disk_names import DiskNames
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
    """What writes the whole model as a folder: the result in the base's own dtypes, a checkpoint in `kept`."""
    stored, own, is_exact = stored_dtype(base.folder), _own_dtypes(model, base.folder), keeps_exact(model)

    def of(name: str, is_final: bool) -> torch.dtype:
        if is_final:
            return own.get(name, stored)
        return torch.float32 if is_exact(name) else kept

    def save(folder: Path, is_final: bool) -> None:
        # On the CPU: a second copy beside the weights may not fit the card, and a run must not die of being saved.
        found, cpu = model.state_dict(), torch.device("cpu")
        # Tied weights stay one tensor, so that they are written once, as the first of them lies in the base.
        copies = {(t.data_ptr(), t.shape): t.detach().to(cpu, of(n, is_final)) for n, t in reversed(found.items())}
        state = {name: copies[t.data_ptr(), t.shape] for name, t in found.items()}
        before, model.config.dtype = model.config.dtype, stored if is_final else kept
        model.save_pretrained(folder, state_dict=state, max_shard_size="5GB")
        model.config.dtype = before

    return save


def _own_dtypes(model: Any, folder: Path) -> dict[str, torch.dtype]:
    """Of each tensor by its name in the model: what chooses experts is stored in more bits than the others."""
    stored = stored_dtypes(folder)
    return {name: stored[found[0]] for name, found in DiskNames(model, stored).sources.items()}


def stored_dtypes(folder: Path) -> dict[str, torch.dtype]:
    """Of each tensor of a folder; what is packed in 8 bits counts as what most are stored in."""
    most = stored_dtype(folder)
    return {name: _DTYPES.get(header["dtype"], most) for name, header in tensor_headers(folder).items()}


def stored_dtype(folder: Path) -> torch.dtype:
    """The dtype that most of the base's numbers are stored in."""
    counts: dict[str, int] = {}
    for header in tensor_headers(folder).values():
        begin, end = header["data_offsets"]
        counts[header["dtype"]] = counts.get(header["dtype"], 0) + end - begin
    return _DTYPES.get(max(counts, key=lambda dtype: counts[dtype]), torch.bfloat16)
