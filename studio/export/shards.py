"""safetensors files written while their tensors are made: the header first, then each tensor once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.export.tensors import num_bytes

if TYPE_CHECKING:
    import torch

SHARD_BYTES = 5_000_000_000
_ALIGN = 8

Headers = dict[str, dict[str, Any]]


def split_into_shards(headers: Mapping[str, dict[str, Any]], limit: int) -> list[Headers]:
    """Tensors in order, as many to a shard as fit; one larger than the limit gets its own."""
    shards: list[Headers] = [{}]
    size = 0
    for name, header in headers.items():
        if shards[-1] and size + num_bytes(header) > limit:
            shards.append({})
            size = 0
        shards[-1][name] = header
        size += num_bytes(header)
    return shards


class ShardWriter:
    """One safetensors file (format: 8 bytes of header length, JSON header, data)."""

    def __init__(self, path: Path, headers: Headers) -> None:
        self._file = path.open("wb")
        self._file.write(_header(headers))

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def write(self, tensor: torch.Tensor) -> None:
        """Append the next tensor of the header, in its order."""
        import torch  # heavy

        data = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        data.numpy().tofile(self._file)


def _header(headers: Headers) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, header in headers.items():
        end = start + num_bytes(header)
        entries[name] = {"dtype": header["dtype"], "shape": header["shape"], "data_offsets": [start, end]}
        start = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGN)
    return len(text).to_bytes(8, "little") + text
