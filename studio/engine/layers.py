"""Where a model's decoder layers are, whatever its family calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from studio.errors import UserError


@dataclass(frozen=True)
class Layers:
    """A model taken apart.

    Attributes:
        modules: its decoder layers, first to last.
        blocks: the parameters of each, by their names in the model.
        others: parameters outside: embedding, head, last norm.
    """

    modules: list[nn.Module]
    blocks: list[dict[str, nn.Parameter]]
    others: dict[str, nn.Parameter]


def take_apart(model: Any) -> Layers:
    """Find the decoder layers of a causal language model, with or without a peft adapter.

    Raises:
        UserError: it has none that can be told.
    """
    modules = decoder_layers(model)
    owner = {id(p): at for at, module in enumerate(modules) for p in module.parameters()}
    blocks: list[dict[str, nn.Parameter]] = [{} for _ in modules]
    others: dict[str, nn.Parameter] = {}
    for name, parameter in model.named_parameters():
        (blocks[owner[id(parameter)]] if id(parameter) in owner else others)[name] = parameter
    return Layers(modules, blocks, others)


def decoder_layers(model: Any) -> list[nn.Module]:
    """The decoder layers, first to last."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    count = causal.config.get_text_config().num_hidden_layers
    for module in causal.get_decoder().children():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return list(module)
    raise UserError(
        "This model's layers cannot be told apart, so no method that picks layers can train it.",
        "Choose the method lora or full.",
    )
