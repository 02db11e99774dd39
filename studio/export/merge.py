"""Trained weights merged into the base one module at a time, while somebody writes them: no merged copy anywhere.

The arithmetic is peft's own `merge` of each method. The model around it is shapes without memory; only the module at
hand gets real weights, in fp32, and gives them back in the base's dtype.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.export.adapter import ADAPTER, empty_model, load_adapter, set_parameter
from studio.export.plain_lora import assert_changed, open_plain_lora
from studio.export.stored import StoreTensors
from studio.export.tensors import FolderTensors, TensorSource, torch_dtype
from studio.models.disk_names import DiskNames
from studio.models.stored_weights import is_stored

if TYPE_CHECKING:
    import torch
    from torch import nn


def open_tensors(base: Path, weights: Path | None) -> TensorSource:
    """The tensors of a tuned model: the base alone, a full model folder, or an adapter merged into its base.

    Args:
        base: the full-precision model folder; a 4-bit base of training is never read.
        weights: None, a full model folder, a peft adapter folder, or a checkpoint of a streamed run.

    Raises:
        UserError: the adapter cannot be merged, or is not this model's.
    """
    if weights is not None and is_stored(weights):
        return StoreTensors(base, weights)
    if weights is None or not (weights / "adapter_config.json").is_file():
        return FolderTensors(weights or base)
    return open_plain_lora(base, weights) or MergedTensors(base, weights)


class MergedTensors:
    """A base folder's tensors with an adapter merged in.

    Attributes:
        headers: as the merged folder would have them.
        config_changes: {"tie_word_embeddings": False} where merging pulls embedding and head apart.
        changed: names of tensors loaded so far that differ from the base's.
    """

    def __init__(self, base: Path, weights: Path) -> None:
        """Load the adapter; the base stays on disk.

        Raises:
            UserError: the adapter does not fit this base, or its method cannot be merged.
        """
        self._base = FolderTensors(base)
        self._names = DiskNames(empty_model(base), self._base.headers)
        self._units = load_adapter(base, weights).units
        self._unit_of: dict[str, str] = {}
        self._source: dict[str, str] = {}  # a head that is no longer the embedding -> the embedding's tensor
        self._ready: dict[str, torch.Tensor] = {}
        self.headers: dict[str, dict[str, Any]] = dict(self._base.headers)
        self.config_changes: dict[str, Any] = {}
        self.changed: set[str] = set()
        for path, unit in self._units.items():
            for parameter, _ in base_module(unit).named_parameters():
                self._unit_of.update(dict.fromkeys(self._names.sources.get(f"{path}.{parameter}", ()), path))
        for head, embedding in self._names.tied.items():
            self._untie(head, embedding)

    @property
    def merged_names(self) -> list[str]:
        """Tensors that the adapter reaches."""
        return list(self._unit_of)

    def load(self, name: str) -> torch.Tensor:
        """The tensor in the base's dtype, merged where the adapter reaches it."""
        before = self._base.load(self._source.get(name, name))
        if name not in self._unit_of:
            return before
        if name not in self._ready:
            self._ready = self._merge(self._unit_of[name])
        merged = self._ready.pop(name)
        if not before.equal(merged):
            self.changed.add(name)
        return merged

    def assert_effect(self) -> None:
        """See `assert_changed`."""
        assert_changed(bool(self.changed))

    def _untie(self, head: str, embedding: str) -> None:
        """Head and embedding are one tensor on disk; where training pulled them apart, both are written."""
        disk = self._names.sources[embedding][0]
        is_head, is_embedding = head.rpartition(".")[0] in self._units, disk in self._unit_of
        if not is_head and not is_embedding:
            return
        self._source[head] = disk
        if is_head:
            self._names.sources[head] = [head]
            self._unit_of[head] = head.rpartition(".")[0]
        if is_head and is_embedding and self.load(head).equal(self.load(disk)):
            del self._unit_of[head]
            return
        self.headers[head] = self._base.headers[disk]
        self.config_changes["tie_word_embeddings"] = False

    def _merge(self, path: str) -> dict[str, torch.Tensor]:
        """Merge one module; its tensors by their names in the files."""
        import torch  # heavy

        # Merging leaves marks in a module, so it is copied; but not its base, which is a view without memory that a
        # copy would fill.
        base = {id(parameter): parameter for parameter in base_module(self._units[path]).parameters()}
        unit = copy.deepcopy(self._units[path], base)
        inner = base_module(unit)
        owned = [name for name, _ in inner.named_parameters() if f"{path}.{name}" in self._names.sources]
        with torch.no_grad():
            for name in owned:
                set_parameter(inner, name, self._names.fuse(f"{path}.{name}", self._load_base))
            merged = dict(_merged_module(unit).named_parameters())
            return {
                disk: part.to(torch_dtype(self._base.headers[self._source.get(disk, disk)])).contiguous()
                for name in owned
                for disk, part in self._names.split(f"{path}.{name}", merged[name].detach()).items()
            }

    def _load_base(self, name: str) -> torch.Tensor:
        """In fp32, and a copy: merging writes in place, and what is loaded is the file itself, mapped."""
        import torch  # heavy

        return self._base.load(self._source.get(name, name)).to(torch.float32, copy=True)


def base_module(unit: Any) -> nn.Module:
    """The base model's own module inside one of peft's."""
    from torch.nn import Module  # heavy

    inner = getattr(unit, "token_adapter", None) or unit
    inner = inner.get_base_layer() if hasattr(inner, "get_base_layer") else unit.original_module
    assert isinstance(inner, Module)
    return inner


def _merged_module(unit: Any) -> Any:
    if hasattr(unit, "unload_and_optionally_merge_module"):
        return unit.unload_and_optionally_merge_module(merge=True, safe_merge=False, adapter_names=[ADAPTER])
    module = unit
    while hasattr(module, "base_layer"):  # parameters of one module are wrapped around each other
        module.merge(safe_merge=False, adapter_names=[ADAPTER])
        module = module.base_layer
    return module
