"""A model's tensors in the files of its folder, one at a time, by the names that they have in the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from studio.engine.full import stored_dtypes
from studio.engine.load import keeps_exact
from studio.errors import UserError
from studio.models.disk_names import DiskNames
from studio.models.tensor_files import TensorFiles


class Origin:
    """Where a model that streams comes from.

    Attributes:
        headers: of the files' tensors.
        sources: name in the model -> names in the files; several where the model keeps them as one (experts).
    """

    def __init__(self, model: Any, folder: Path) -> None:
        """Read the headers, for a model whose parameters have shapes only."""
        self.folder, self._files = folder, TensorFiles(folder)
        self.headers = self._files.headers
        self._names = DiskNames(model, self.headers)
        self.sources = self._names.sources
        self._dtypes = stored_dtypes(folder)
        self._constants: list[str] = []

    def load(self, name: str) -> torch.Tensor:
        """A tensor as the model keeps it."""
        return self._names.fuse(name, self._files.load)

    def split(self, name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
        """The reverse of `load`: by names in the files, in the dtypes that they have there."""
        parts = self._names.split(name, value)
        return {disk: part.to(self._dtypes[disk]).contiguous() for disk, part in parts.items()}

    def constants(self) -> dict[str, torch.Tensor]:
        """What `load_constants` has put in, by names in the files."""
        return {disk: self._files.load(disk) for name in self._constants for disk in self.sources[name]}

    def load_constants(self, model: Any, dtype: torch.dtype, device: torch.device) -> None:
        """Put in what is never trained: buffers that choose between experts, and parameters of that kind."""
        is_exact = keeps_exact(model)
        parameters = dict(model.named_parameters(remove_duplicate=False))
        trained = {name for name, parameter in parameters.items() if parameter.requires_grad}
        self._constants = sorted(self.sources.keys() & model.state_dict().keys() - trained)
        for name in self._constants:
            owner, _, attribute = name.rpartition(".")
            value = self.load(name).to(device, torch.float32 if is_exact(name) else dtype)
            if name in parameters:
                model.get_submodule(owner)._parameters[attribute] = nn.Parameter(value, requires_grad=False)
            else:
                model.get_submodule(owner)._buffers[attribute] = value

    def sort(self, model: Any) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter]]:
        """Matrices and vectors of the model by name, but for constants.

        Raises:
            UserError: the files hold other tensors than the model has.
        """
        matrices: dict[str, nn.Parameter] = {}
        vectors: dict[str, nn.Parameter] = {}
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            found = [tuple(self.headers[source]["shape"]) for source in self.sources.get(name, [])]
            if len(found) < 2 and found != [tuple(parameter.shape)]:
                raise UserError(
                    f"This architecture cannot be streamed: its files have no {name} in the shape that the model uses.",
                    "Streaming works for decoders such as Llama, Qwen, Mistral and Gemma. Choose lora or lisa.",
                )
            (matrices if parameter.ndim > 1 else vectors)[name] = parameter
        return matrices, vectors
