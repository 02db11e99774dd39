"""A streamed run's tensors for export, straight from its store: no copy of the model is made first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.export.adapter import empty_model
from studio.export.plain_lora import assert_changed
from studio.export.tensors import FolderTensors, torch_dtype
from studio.models.disk_names import DiskNames
from studio.models.stored_weights import open_stored

if TYPE_CHECKING:
    import torch


class StoreTensors:
    """The tensors of a base folder with the store's numbers in their place.

    A mixture's experts are one matrix in the store; they are read and taken apart when the first of them is wanted.

    Attributes:
        headers: the base's own.
    """

    def __init__(self, base: Path, weights: Path) -> None:
        """Open both.

        Raises:
            UserError: the store is gone or damaged.
        """
        self._base, self._stored = FolderTensors(base), open_stored(weights)
        self._places, self._vectors = self._stored.matrices(), self._stored.vectors()
        self._split: Callable[[str, torch.Tensor], dict[str, torch.Tensor]] = _whole
        self._memory_names = {name: name for name in [*self._places, *self._vectors]}
        self._ready: dict[str, torch.Tensor] = {}
        self._has_changed = False
        self.headers: dict[str, dict[str, Any]] = dict(self._base.headers)
        self.config_changes: dict[str, Any] = {}
        if not self._memory_names.keys() <= self.headers.keys():
            names = DiskNames(empty_model(base), self.headers)
            self._split = names.split
            self._memory_names = {d: name for name in self._memory_names for d in names.sources[name]}

    def load(self, name: str) -> torch.Tensor:
        """The tensor in the base's dtype; one that is not trained (a second name of the embedding) is the base's."""
        if name not in self._memory_names:
            return self._base.load(name)
        if name not in self._ready:
            self._ready |= self._load(self._memory_names[name])
        tensor = self._ready.pop(name)
        self._has_changed = self._has_changed or not tensor.equal(self._base.load(name))
        return tensor

    def assert_effect(self) -> None:
        """See `assert_changed`."""
        assert_changed(self._has_changed)

    def _load(self, name: str) -> dict[str, torch.Tensor]:
        """A matrix or vector of the model, by names in the files."""
        value = self._vectors[name] if name in self._vectors else self._stored.load(*self._places[name])
        parts = self._split(name, value)
        return {disk: part.to(torch_dtype(self.headers[disk])) for disk, part in parts.items()}


def _whole(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a tensor is in the files of a model that has the same names."""
    return {name: value}
