"""K-quants and their like, straight from merged tensors: no 16-bit file in between, on disk or in memory.

llama.cpp says which tensor becomes which type: its quantiser runs dry over a file that has a header and no data (a
sparse one). ggml then quantises each tensor as it is written, a slab of rows at a time, on all cores.
"""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studio.export.ggml import quantised_slabs
from studio.export.gguf_file import Payload, opened, prepare, write_payloads
from studio.export.quant_types import QuantType
from studio.export.target import Watch

# "[   2/  21] blk.0.attn_k.weight - [64, 32, 1, 1], type = f32, size = 0.01 MiB -> 0.00 MiB (q4_K)"
_PLANNED = re.compile(r"\[\s*\d+/\s*\d+\]\s+(\S+)\s+- \[[^\]]*\], type =\s*(\w+), size =[^\n(]*(?:\((\w+)\))?\n")


def write_quantised(converter: Any, path: Path, kind: QuantType, watch: Watch) -> None:
    """Write a quantised file from a converter of kind F32.

    Raises:
        Cancelled: the person asked; UserError: the disk is too small, or the weights hold no numbers.
    """
    import torch  # heavy

    with torch.no_grad():
        prepare(converter)
        source = converter.gguf_writer
        tensors = {name: info.tensor for name, info in source.tensors[0].items()}
        plan = _plan(converter, path.parent, kind)
        writer, payloads = _writer(source, plan, kind, tensors)
        source.tensors[0].clear()
        with opened(writer, path):
            write_payloads(writer, payloads, watch)


def _plan(converter: Any, folder: Path, kind: QuantType) -> dict[str, str]:
    """Tensor -> name of its ggml type, in the order of llama.cpp's own files."""
    import llama_cpp  # heavy

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.dry_run, params.nthread = kind.ftype, True, 1
    with _header_file(converter.gguf_writer, folder) as header, _captured_log() as lines:
        code = llama_cpp.llama_model_quantize(str(header).encode(), os.devnull.encode(), ctypes.byref(params))
    text = "".join(lines)
    plan = {name: after or before for name, before, after in _PLANNED.findall(text)}
    names = set(converter.gguf_writer.tensors[0])
    if code != 0 or set(plan) != names:
        raise RuntimeError(f"llama.cpp planned {len(plan)} of {len(names)} tensors for {kind.name}:\n{text[-2000:]}")
    return plan


@contextmanager
def _header_file(writer: Any, folder: Path) -> Iterator[Path]:
    """A file with the metadata and list of tensors of `writer`; where data belongs there is a hole."""
    handle, name = tempfile.mkstemp(prefix=".plan.", suffix=".part", dir=folder)
    os.close(handle)
    path = Path(name)
    copy = _empty_writer(writer)
    copy.kv_data, copy.tensors = writer.kv_data, writer.tensors
    try:
        copy.write_header_to_file(path=path)
        copy.write_kv_data_to_file()
        copy.write_ti_data_to_file()
        size = copy.fout[0].tell() + 64
        size += sum(info.nbytes + copy.data_alignment for info in writer.tensors[0].values())
        copy.close()
        os.truncate(path, size)
        yield path
    finally:
        copy.close()
        path.unlink(missing_ok=True)


@contextmanager
def _captured_log() -> Iterator[list[str]]:
    """What llama.cpp logs while the block runs."""
    import llama_cpp  # heavy
    from llama_cpp._logger import llama_log_callback

    lines: list[str] = []

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def keep(_level: int, text: bytes, _data: Any) -> None:
        lines.append(text.decode("utf-8", "replace"))

    llama_cpp.llama_log_set(keep, ctypes.c_void_p(0))
    try:
        yield lines
    finally:
        llama_cpp.llama_log_set(llama_log_callback, ctypes.c_void_p(0))


def _empty_writer(writer: Any) -> Any:
    import gguf  # heavy

    return gguf.GGUFWriter(path=None, arch=writer.arch, endianess=writer.endianess)


def _writer(
    source: Any, plan: dict[str, str], kind: QuantType, tensors: dict[str, Any]
) -> tuple[Any, dict[str, Payload]]:
    """A writer with the source's metadata and the planned types, and what it is to write."""
    import gguf  # heavy

    writer = _empty_writer(source)
    writer.kv_data = [dict(source.kv_data[0])]
    for key in ("general.quantization_version", "general.file_type"):  # llama.cpp sets these two anew, at the end
        writer.kv_data[0].pop(key, None)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_file_type(kind.ftype)
    payloads: dict[str, Payload] = {}
    for name, type_name in plan.items():
        payload = _Quantised(tensors.pop(name), gguf.GGMLQuantizationType[type_name.upper()])
        payloads[name] = payload
        writer.add_tensor_info(name, payload.byte_shape, np.dtype(payload.dtype), payload.nbytes, payload.type)
    return writer, payloads


@dataclass
class _Quantised:
    """A lazy fp32 tensor that is written in a type of ggml."""

    tensor: Any
    type: Any

    def __post_init__(self) -> None:
        import gguf  # heavy

        shape = tuple(self.tensor.shape)
        self.is_plain = self.type == gguf.GGMLQuantizationType.F32
        self.dtype = np.float32 if self.is_plain else np.uint8
        self.byte_shape = shape if self.is_plain else gguf.quant_shape_to_byte_shape(shape, self.type)
        self.nbytes = int(np.prod(self.byte_shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def tofile(self, file: Any) -> None:
        """Make the tensor, quantise it slab by slab and write it."""
        import gguf  # heavy

        values = gguf.LazyNumpyTensor.to_eager(self.tensor)
        self.tensor = None
        values = np.ascontiguousarray(values, dtype=np.float32)
        if self.is_plain:
            values.tofile(file)
            return
        for slab in quantised_slabs(values, int(self.type)):
            slab.tofile(file)
