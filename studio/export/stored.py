"""A streamed run's tensors for export, straight from its store: no copy of the model is made first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.export.plain_lora import assert_changed
from studio.export.tensors import FolderTensors, torch_dtype
from studio.models.stored_weights import open_stored

if TYPE_CHECKING:
    import torch


class StoreTensors:
    """The tensors of a base folder with the store's numbers in their place.

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
        self._has_changed = False
        self.headers: dict[str, dict[str, Any]] = dict(self._base.headers)
        self.config_changes: dict[str, Any] = {}

    def load(self, name: str) -> torch.Tensor:
        """The tensor in the base's dtype; one that is not trained (a second name of the embedding) is the base's."""
        dtype = torch_dtype(self.headers[name])
        if name in self._places:
            tensor = self._stored.load(*self._places[name]).to(dtype)
        elif name in self._vectors:
            tensor = self._vectors[name].to(dtype)
        else:
            return self._base.load(name)
        self._has_changed = self._has_changed or not tensor.equal(self._base.load(name))
        return tensor

    def assert_effect(self) -> None:
        """See `assert_changed`."""
        assert_changed(self._has_changed)
