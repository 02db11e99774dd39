"""The converter's own three 16-bit and 8-bit types by quicker arithmetic: torch's and ggml's instead of numpy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from studio.export.ggml import quantised_slabs


def quick_quantise(data: Any, kind: Any, theirs: Callable[[Any, Any], Any]) -> Any:
    """What gguf's `quantize` returns, bit by bit.

    Args:
        data: a lazy fp32 array of gguf's, or whatever else the converter has.
        kind: gguf's name of the type.
        theirs: gguf's own function, for all that is not quickened.
    """
    import gguf  # heavy

    is_whole = bool(data.shape) and data.shape[-1] % 32 == 0
    if not isinstance(data, gguf.LazyNumpyTensor) or data.dtype != np.float32 or not is_whole:
        return theirs(data, kind)
    convert = {"F16": _f16, "BF16": _bf16, "Q8_0": _q8_0}.get(kind.name)
    if convert is None:
        return theirs(data, kind)
    dtype = np.float16 if kind.name == "F16" else np.uint8
    shape = data.shape if kind.name == "F16" else gguf.quant_shape_to_byte_shape(data.shape, kind)
    meta = gguf.LazyNumpyTensor.meta_with_dtype_and_shape(dtype, shape)
    return gguf.LazyNumpyTensor(meta=meta, args=(data,), func=convert)


def _f16(values: Any) -> Any:
    import torch  # heavy

    return torch.from_numpy(np.ascontiguousarray(values)).to(torch.float16).numpy()


def _bf16(values: Any) -> Any:
    import torch  # heavy

    rounded = torch.from_numpy(np.ascontiguousarray(values)).to(torch.bfloat16)
    return rounded.view(torch.uint8).numpy()


def _q8_0(values: Any) -> Any:
    import gguf  # heavy

    kind = gguf.GGMLQuantizationType.Q8_0
    slabs = list(quantised_slabs(np.ascontiguousarray(values), int(kind)))
    return np.concatenate(slabs).reshape(gguf.quant_shape_to_byte_shape(values.shape, kind))
