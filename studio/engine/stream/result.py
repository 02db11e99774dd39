"""The trained model as a folder of safetensors, straight out of the store: one file a unit, memory of one unit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from studio.engine.full import stored_dtype
from studio.engine.stream.origin import Origin
from studio.engine.stream.store import Store
from studio.models.stored_weights import read_numbers


def write_result(
    folder: Path, store: Store, slots: list[int], smalls: dict[str, torch.Tensor], origin: Origin, config: Any
) -> None:
    """Write a model folder like the one that the model came from; everything has been flushed before."""
    folder.mkdir(parents=True, exist_ok=True)
    layout = store.layout
    count = len(layout.units) + 1
    places: dict[str, str] = {}
    total = 0
    for at, unit in enumerate(layout.units):
        tensors: dict[str, torch.Tensor] = {}
        for t in unit.tensors:
            master = read_numbers(store.folder, layout, at, slots[at], t.start, t.end)
            tensors |= origin.split(t.name, master.view(t.shape))
            del master
        total += _write(folder, at + 1, count, tensors, places)
    vectors = origin.constants()
    for name, tensor in smalls.items():
        vectors |= origin.split(name, tensor.cpu())
    total += _write(folder, count, count, vectors, places)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    before, config.dtype = config.dtype, stored_dtype(origin.folder)
    config.save_pretrained(folder)
    config.dtype = before


def _write(folder: Path, at: int, count: int, tensors: dict[str, torch.Tensor], places: dict[str, str]) -> int:
    name = f"model-{at:05d}-of-{count:05d}.safetensors"
    save_file(tensors, folder / name, metadata={"format": "pt"})
    places.update(dict.fromkeys(tensors, name))
    return sum(tensor.nbytes for tensor in tensors.values())
