"""A model folder's tensors, read one at a time from memory-mapped safetensors. Merging is not here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from studio.models.tensor_files import TensorFiles

if TYPE_CHECKING:
    import torch

# safetensors' names for dtypes -> torch's (safetensors README, "Format").
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip
_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
    "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


class TensorSource(Protocol):
    """Tensors by the names that they have in a model folder, each made when it is asked for."""

    @property
    def headers(self) -> Mapping[str, dict[str, Any]]:
        """Name -> {dtype, shape} as safetensors headers say them, in the order of the files."""

    @property
    def config_changes(self) -> dict[str, Any]:
        """What must change in config.json for these tensors."""

    def load(self, name: str) -> torch.Tensor:
        """The tensor, in the dtype of its header."""

    def assert_effect(self) -> None:
        """Call when all has been loaded; raises UserError when merging changed nothing."""


class FolderTensors(TensorFiles):
    """The tensors of a folder as they are."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.config_changes: dict[str, Any] = {}

    def assert_effect(self) -> None:
        """Nothing is merged here."""


def torch_dtype(header: Mapping[str, Any]) -> torch.dtype:
    """torch's dtype for a safetensors header."""
    import torch  # heavy

    dtype = getattr(torch, _DTYPES[header["dtype"]])
    assert isinstance(dtype, torch.dtype)
    return dtype


def num_bytes(header: Mapping[str, Any]) -> int:
    """Bytes that the tensor takes."""
    return int(_ITEM_BYTES[header["dtype"]] * math.prod(header["shape"]))
