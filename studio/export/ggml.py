"""ggml's own quantisation, called row by row: the bytes that llama.cpp's quantiser writes."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from studio.errors import UserError

_SLAB_BYTES = 4 << 20

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def quantised_slabs(values: Floats, type_number: int) -> Iterator[Bytes]:
    """Any number of rows of fp32 in a ggml type, some rows at a time, on all cores.

    Raises:
        UserError: they hold something that is no number.
    """
    rows = values.reshape(-1, values.shape[-1])
    slab = max(1, _SLAB_BYTES // rows[0].nbytes)
    chunks = [rows[start : start + slab] for start in range(0, len(rows), slab)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from pool.map(lambda chunk: quantise_rows(chunk, type_number), chunks)


def quantise_rows(rows: Floats, type_number: int) -> Bytes:
    """Rows of fp32 in a ggml type, bytes as llama.cpp's quantiser makes them (ggml.c, `ggml_quantize_chunk`).

    Raises:
        UserError: the rows hold something that is no number.
    """
    library = _library()
    columns = rows.shape[1]
    out = np.empty(len(rows) * library.ggml_row_size(type_number, columns), dtype=np.uint8)
    source, target = rows.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p)
    library.ggml_quantize_chunk(type_number, source, target, 0, len(rows), columns, None)
    if not library.ggml_validate_row_data(type_number, target, out.nbytes):
        raise UserError(
            "The tuned weights hold values that are no numbers (NaN or infinity).",
            "Training diverged: export an earlier checkpoint, or train with a lower learning rate.",
        )
    return out


@functools.cache
def _library() -> ctypes.CDLL:
    import llama_cpp  # heavy
    from llama_cpp._ctypes_extensions import load_shared_library

    library = load_shared_library("ggml-base", Path(llama_cpp.__file__).parent / "lib")
    library.ggml_row_size.restype = ctypes.c_size_t
    library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
    ]  # fmt: skip
    library.ggml_validate_row_data.restype = ctypes.c_bool
    library.ggml_validate_row_data.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    assert isinstance(library, ctypes.CDLL)
    return library
