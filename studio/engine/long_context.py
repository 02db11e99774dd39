"""LongLoRA (arXiv 2309.12307): adapters, embedding and norms learn longer rows through attention inside groups.

The result is a whole model: trained embeddings and a stretched context are no adapter's to carry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studio.engine.adapters import attach, load_frozen, low_rank_config
from studio.engine.attention import GROUP_SHARE
from studio.engine.driver import Driver
from studio.engine.experts import reach
from studio.engine.full import stored_dtype
from studio.engine.layers import decoder_layers
from studio.engine.prepared import Base, Prepared
from studio.errors import UserError
from studio.methods._lora import LowRankParams
from studio.protocol import events

if TYPE_CHECKING:
    from studio.engine.loop import Loop


def prepare_long(base: Base, params: LowRankParams, *, share: float, stretch: float, others: bool) -> Prepared:
    """A model with adapters whose attention is grouped while it trains.

    Args:
        share: of a row that one group holds.
        stretch: how many times longer the context becomes, by interpolating positions.
        others: train embedding and norms as well.
    """
    model = load_frozen(base)
    if stretch > 1:
        stretch_context(model, stretch)
    for layer in decoder_layers(model):
        for module in layer.modules():
            if hasattr(module, "is_causal"):
                setattr(module, GROUP_SHARE, share)
    config = low_rank_config(base, params, "default")
    reach(model, config)
    adapted = attach(model, replace(base, resume=None), config).model
    always = _embedding_and_norms(model) if others else []
    for parameter in always:
        parameter.requires_grad_(True)
    return Prepared(model=adapted, save_weights=_saver(adapted, base), driver=Long(adapted, always))


def stretch_context(model: Any, factor: float) -> None:
    """Interpolate positions linearly (arXiv 2306.15595), in the model and in its config.

    Raises:
        UserError: this model's positions are not plain rotary ones.
    """
    rope = getattr(model.config, "rope_parameters", None)
    rotary = getattr(model.get_decoder(), "rotary_emb", None)
    if rotary is None or not isinstance(rope, dict) or rope.get("rope_type", "default") != "default":
        raise UserError(
            "This model's positions cannot be stretched: they are not plain rotary ones.",
            "Set method.stretch to 1, or choose a model without a scaling of its own.",
        )
    model.config.rope_parameters = {**rope, "rope_type": "linear", "factor": float(factor)}
    model.config.max_position_embeddings = int(model.config.max_position_embeddings * factor)
    device = next(model.parameters()).device
    model.get_decoder().rotary_emb = type(rotary)(config=model.config).to(device)


def _embedding_and_norms(model: Any) -> list[nn.Parameter]:
    embedding = list(model.get_input_embeddings().parameters())
    return embedding + [p for name, p in model.named_parameters() if "norm" in name.split(".")[-2]]


class Long(Driver):
    """Keeps what is trained beside the adapters exact."""

    def __init__(self, model: nn.Module, always: list[nn.Parameter]) -> None:
        self._model, self._always = model, always

    def begin(self, loop: Loop) -> None:
        """Trained weights in fp32; and a word where attention cannot be grouped."""
        for parameter in self._always:
            parameter.data = parameter.data.float()
        if loop.plan.loss.layout != "rows":
            text = "This model's attention cannot be grouped: rows are trained at their full length, which takes more."
            loop.emit(events.Notice(severity="warning", text=text))

    def state(self) -> dict[str, Any]:
        """Adapters and the rest, exactly; the checkpoint's folder holds them merged."""
        return {name: p.detach() for name, p in self._model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """As it was."""
        for name, parameter in self._model.named_parameters():
            if name in state:
                parameter.copy_(state[name])


def _saver(adapted: Any, base: Base) -> Callable[[Path, bool], None]:
    """Writes the model with its adapters merged, in the base's own dtype."""
    dtype = stored_dtype(base.folder)

    def save(folder: Path, is_final: bool) -> None:
        model = adapted.get_base_model()
        state = {name: tensor.to("cpu", dtype) for name, tensor in merged_state(model).items()}
        before, model.config.dtype = model.config.dtype, dtype
        model.save_pretrained(folder, state_dict=state, max_shard_size="5GB")
        model.config.dtype = before

    return save


@torch.no_grad()
def merged_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """A state dict as the model had it before adapters were put in, with them merged."""
    adapters: dict[str, Any] = {name: m for name, m in model.named_modules() if hasattr(m, "get_delta_weight")}
    state = {}
    for name, tensor in model.state_dict().items():
        owner, _, inner = name.partition(".base_layer.")
        if "lora_" in name:
            continue
        if inner == "weight":
            tensor = (tensor.float() + adapters[owner].get_delta_weight("default")).cpu()
        state[f"{owner}.{inner}" if inner else name] = tensor
    return state
