"""Cheap identities of big things: of a model folder, and of a data file. Not here: proof against forgery."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from studio.models.facts import tensor_headers

_PIECE_BYTES = 1 << 16
_NUM_PIECES = 16


def fingerprint(folder: Path) -> str:
    """sha256 (hex) over a model folder's config, tensor names, shapes and types, file sizes and sampled content.

    Raises:
        UserError: the folder holds no model.
    """
    digest = hashlib.sha256(b"model 1\n")
    digest.update((folder / "config.json").read_bytes())
    headers = tensor_headers(folder)
    digest.update(json.dumps(headers, sort_keys=True).encode())
    for name in sorted({str(header["file"]) for header in headers.values()}):
        _sample(digest, folder / name)
    return digest.hexdigest()


def fingerprint_file(path: Path) -> str:
    """sha256 (hex) over a file's size and pieces sampled evenly, first and last included: whole below 1 MiB."""
    digest = hashlib.sha256(b"file 1\n")
    _sample(digest, path)
    return digest.hexdigest()


def _sample(digest: hashlib._Hash, path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{size}\n".encode())
    with path.open("rb") as file:
        for offset in _offsets(size):
            file.seek(offset)
            digest.update(file.read(_PIECE_BYTES))


def _offsets(size: int) -> list[int]:
    if size <= _PIECE_BYTES * _NUM_PIECES:
        return list(range(0, size, _PIECE_BYTES))
    last = size - _PIECE_BYTES
    return [last * index // (_NUM_PIECES - 1) for index in range(_NUM_PIECES)]
