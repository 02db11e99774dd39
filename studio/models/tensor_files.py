"""The tensors of a model folder as they are, one at a time, from memory-mapped safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.models.facts import tensor_headers

if TYPE_CHECKING:
    import torch


class TensorFiles:
    """Reads a folder's tensors by their names in the files.

    Attributes:
        headers: name -> what `tensor_headers` says of it.
    """

    def __init__(self, folder: Path) -> None:
        """Read the headers.

        Raises:
            UserError: weights are missing, damaged or pickled.
        """
        self.folder = folder
        self.headers: dict[str, dict[str, Any]] = tensor_headers(folder)
        self._open: dict[str, Any] = {}

    def load(self, name: str) -> torch.Tensor:
        """The tensor; it lives in the page cache until somebody writes to a copy."""
        from safetensors import safe_open  # heavy

        file = self.headers[name]["file"]
        if file not in self._open:
            self._open[file] = safe_open(self.folder / file, framework="pt")
        tensor: torch.Tensor = self._open[file].get_tensor(name)
        return tensor
