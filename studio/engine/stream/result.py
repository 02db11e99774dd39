"""The trained model as a folder of safetensors, straight out of the store: one file a unit, memory of one unit."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from studio.engine.stream.store import Store
from studio.models.stored_weights import read_numbers


def write_result(
    folder: Path, store: Store, slots: list[int], smalls: dict[str, torch.Tensor], config: Any, dtype: torch.dtype
) -> None:
    """Write a model folder in `dtype`; everything has been flushed before."""
    folder.mkdir(parents=True, exist_ok=True)
    layout = store.layout
    count = len(layout.units) + 1
    places: dict[str, str] = {}
    total = 0
    for at, unit in enumerate(layout.units):
        read = partial(read_numbers, store.folder, layout, at, slots[at])
        tensors = {t.name: read(t.start, t.end).view(t.shape).to(dtype) for t in unit.tensors}
        total += _write(folder, at + 1, count, tensors, places)
    vectors = {name: tensor.cpu().to(dtype).contiguous() for name, tensor in smalls.items()}
    total += _write(folder, count, count, vectors, places)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    before, config.dtype = config.dtype, dtype
    config.save_pretrained(folder)
    config.dtype = before


def _write(folder: Path, at: int, count: int, tensors: dict[str, torch.Tensor], places: dict[str, str]) -> int:
    name = f"model-{at:05d}-of-{count:05d}.safetensors"
    save_file(tensors, folder / name, metadata={"format": "pt"})
    places.update(dict.fromkeys(tensors, name))
    return sum(tensor.nbytes for tensor in tensors.values())
