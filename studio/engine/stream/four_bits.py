"""4-bit matrices as a piece of a file: bitsandbytes' NF4 with double quantisation, bit for bit what it makes itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from bitsandbytes.functional import QuantState, quantize_4bit, quantize_blockwise
from bitsandbytes.nn import Linear4bit, Params4bit
from torch import nn

BLOCK, NESTED = 64, 256
"""Numbers that share a scale, and scales that share a scale of theirs."""
_AT_ONCE = 1 << 21
"""Numbers that a processor packs together: the library takes some 16 bytes of memory for each."""
_HEAD_NUMBERS = 16
"""fp32 numbers before the nested scales: the offset of all scales, and room that keeps what follows in place."""


@dataclass(frozen=True)
class Places:
    """Where the parts of a matrix of `numbers` lie in its piece, in bytes."""

    numbers: int

    @property
    def scales(self) -> int:
        return -(-self.numbers // BLOCK)

    @property
    def nested(self) -> int:
        return -(-self.scales // NESTED)

    @property
    def packed_start(self) -> int:
        return 4 * (_HEAD_NUMBERS + -(-self.nested // 16) * 16)

    @property
    def packed_end(self) -> int:
        return self.packed_start + -(-self.numbers // 2)

    @property
    def size(self) -> int:
        """Even, since a store counts in 16 bits."""
        return -(-(self.packed_end + self.scales) // 2) * 2


def quantised(matrix: torch.Tensor) -> tuple[torch.Tensor, QuantState]:
    """A tensor of any float dtype as the library packs it with double quantisation, on a processor piece by piece."""
    if matrix.device.type != "cpu" or matrix.numel() <= _AT_ONCE:
        return quantize_4bit(matrix.contiguous(), blocksize=BLOCK, compress_statistics=True, quant_type="nf4")
    parts = [
        quantize_4bit(part, blocksize=BLOCK, quant_type="nf4") for part in matrix.contiguous().view(-1).split(_AT_ONCE)
    ]
    packed, state = torch.cat([packed for packed, _ in parts]), parts[0][1]
    scales = torch.cat([part.absmax for _, part in parts])
    state.shape, state.offset, state.nested = matrix.shape, scales.mean(), True
    state.absmax, state.state2 = quantize_blockwise(scales - state.offset, blocksize=NESTED)
    return packed, state


def pack(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix of any float dtype as its piece, uint8."""
    packed, state = quantised(matrix)
    places = Places(matrix.numel())
    piece = torch.zeros(places.size, dtype=torch.uint8)
    head = piece[: places.packed_start].view(torch.float32)
    head[0] = state.offset
    head[_HEAD_NUMBERS : _HEAD_NUMBERS + places.nested].copy_(state.state2.absmax)
    piece[places.packed_start : places.packed_end].copy_(packed.view(-1))
    piece[places.packed_end : places.packed_end + places.scales].copy_(state.absmax)
    return piece


class Unpacker:
    """Makes bitsandbytes' parameters of pieces.

    Args:
        dtype: that matrices are unpacked to.
        device: where the pieces will be.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        _, made = quantize_4bit(torch.zeros(1, BLOCK, dtype=dtype, device=device), quant_type="nf4")
        _, nested = quantize_4bit(
            torch.zeros(1, BLOCK, dtype=dtype, device=device), quant_type="nf4", compress_statistics=True
        )
        self._dtype, self._code, self._nested = dtype, made.code, nested.state2

    def parameter(self, piece: torch.Tensor, layer: Linear4bit) -> Params4bit:
        """What `layer` computes with: views of `piece`, nothing is copied."""
        return self._parameter(piece, torch.Size((layer.out_features, layer.in_features)), layer)

    def stack(self, piece: torch.Tensor, shape: torch.Size) -> Params4bit:
        """The same of a mixture's experts."""
        return self._parameter(piece, shape, None)

    def _parameter(self, piece: torch.Tensor, shape: torch.Size, layer: Linear4bit | None) -> Params4bit:
        places = Places(shape.numel())
        head = piece[: places.packed_start].view(torch.float32)
        nested = QuantState(
            absmax=head[_HEAD_NUMBERS : _HEAD_NUMBERS + places.nested],
            code=self._nested.code,
            blocksize=self._nested.blocksize,
            dtype=self._nested.dtype,
        )
        state = QuantState(
            absmax=piece[places.packed_end : places.packed_end + places.scales],
            shape=shape,
            dtype=self._dtype,
            blocksize=BLOCK,
            code=self._code,
            quant_type="nf4",
            offset=head[0],
            state2=nested,
        )
        return _params(piece[places.packed_start : places.packed_end].view(-1, 1), layer, state)


def empty_layer(layer: Any, dtype: torch.dtype, device: torch.device) -> Linear4bit:
    """A 4-bit layer in the shape of a linear one that waits for its weights and takes no memory."""
    outputs, inputs = (layer.out_features, layer.in_features) if isinstance(layer, nn.Linear) else layer.weight.T.shape
    with torch.device("meta"):
        made = Linear4bit(inputs, outputs, layer.bias is not None, dtype, quant_type="nf4")
    made.weight = _params(_nothing(outputs * inputs, device), made, None)
    made.bias = layer.bias
    # Packing for inference at the first evaluation would go with the next layer's weights, and has no gradient.
    made.support_avx512bf16_for_cpu = False
    return made


def empty_stack(shape: torch.Size, device: torch.device) -> Params4bit:
    """What stands for a stack of experts that waits for its numbers."""
    return _params(_nothing(shape.numel(), device), None, None)


def _nothing(numbers: int, device: torch.device) -> torch.Tensor:
    return torch.zeros((), dtype=torch.uint8, device=device).expand(-(-numbers // 2), 1)


def _params(data: torch.Tensor, layer: Linear4bit | None, state: QuantState | None) -> Params4bit:
    return Params4bit(
        data,
        requires_grad=False,
        quant_state=state,
        blocksize=BLOCK,
        compress_statistics=True,
        quant_type="nf4",
        module=layer,
        bnb_quantized=True,
    )
