"""A mixture's experts loaded in 4 bits: transformers' loader leaves their stacks in 16, nearly all of such a model."""

from __future__ import annotations

from typing import Any

import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.core_model_loading import ConversionOps
from transformers.quantizers.auto import register_quantizer
from transformers.quantizers.quantizer_bnb_4bit import Bnb4BitHfQuantizer

from studio.engine.experts import is_stack, stand_in
from studio.engine.stream.four_bits import BLOCK, quantised

_KIND = "bitsandbytes_4bit_with_experts"


def nf4(dtype: torch.dtype) -> BitsAndBytesConfig:
    """For `from_pretrained`: linear layers and experts as NF4 with double quantisation, arithmetic in `dtype`."""
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    config.quant_method = _KIND
    return config


def _packed(stack: torch.Tensor) -> Params4bit:
    """A stack of any float dtype as one parameter of bitsandbytes'."""
    packed, state = quantised(stack)
    return Params4bit(packed, quant_state=state, blocksize=BLOCK, quant_type="nf4", bnb_quantized=True)


@register_quantizer(_KIND)
class _Quantizer(Bnb4BitHfQuantizer):
    """What the library does, and experts as well, each stack as soon as it is read."""

    def param_needs_quantization(self, model: Any, param_name: str, **kwargs: Any) -> bool:
        """Whether a parameter is to be packed."""
        return is_stack(model, param_name) or super().param_needs_quantization(model, param_name, **kwargs)

    def _process_model_after_weight_loading(self, model: Any, **kwargs: Any) -> Any:
        for module in model.modules():
            for name, parameter in module._parameters.items():
                if isinstance(parameter, Params4bit) and not isinstance(module, Linear4bit):
                    stand_in(module, name, parameter, parameter.quant_state)
        return super()._process_model_after_weight_loading(model, **kwargs)

    def get_quantize_ops(self) -> ConversionOps:
        """What packs one."""
        return _Pack(super().get_quantize_ops())


class _Pack(ConversionOps):
    def __init__(self, linears: ConversionOps) -> None:
        self._linears = linears

    def convert(self, input_dict: dict[str, Any], model: nn.Module, **named: Any) -> dict[str, Any]:
        """One parameter, packed, by its name."""
        ((name, value),) = input_dict.items()
        if not is_stack(model, name):
            return self._linears.convert(input_dict, model=model, **named)
        return {name: _packed(value[0] if isinstance(value, list) else value)}
