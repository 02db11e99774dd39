"""Trains slices of matrices and computes gradients for those alone (S2FT, arXiv 2412.06289).

Whole attention heads and feed-forward channels are chosen; their columns of the output projections are trained. Such a
layer keeps only its input's chosen columns for the backward pass. No permutation is needed for that, so nothing has to
be put back in order afterwards, and grouped queries are no special case: the columns belong to query heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from studio.engine.adapters import checkpoint_activations
from studio.engine.driver import Driver
from studio.engine.full import model_saver
from studio.engine.layers import decoder_layers
from studio.engine.load import load_base
from studio.engine.prepared import Base, Prepared
from studio.errors import UserError

if TYPE_CHECKING:
    from studio.engine.loop import Loop

OUTPUTS = ("o_proj", "down_proj")
"""What heads and channels are read through, in the families whose parts have these names."""


def prepare_slices(base: Base, *, heads: float, channels: float) -> Prepared:
    """A model of which shares of heads and channels are trained.

    Raises:
        UserError: its layers have no such parts.
    """
    model: Any = load_base(base.resume or base.folder, dtype=base.dtype, device=base.device)
    model.requires_grad_(False)
    if base.activation_checkpointing:
        checkpoint_activations(model)
    draw = torch.Generator().manual_seed(base.seed + 0x52F7)
    size = _head_size(model)
    slices: dict[str, Slice] = {}
    for at, layer in enumerate(decoder_layers(model)):
        for name, module in layer.named_modules():
            end = name.rpartition(".")[2]
            if end in OUTPUTS and isinstance(module, nn.Linear):
                unit, share = (size, heads) if end == "o_proj" else (1, channels)
                if share > 0:
                    slices[f"layers.{at}.{name}"] = Slice(module, _columns(module, unit, share, draw))
    if not slices:
        raise UserError("This model's heads and channels cannot be told apart.", "Choose lora or lift instead.")
    return Prepared(
        model=model,
        save_weights=model_saver(model, base, kept=getattr(torch, base.dtype)),
        driver=Slices(slices),
        parameters={name: unit.core for name, unit in slices.items()},
    )


def _head_size(model: Any) -> int:
    config = model.config.get_text_config()
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _columns(module: nn.Linear, unit: int, share: float, draw: torch.Generator) -> torch.Tensor:
    """Input columns of a random share of the units (heads of `unit` columns, or single channels)."""
    total = module.in_features // unit
    chosen = torch.randperm(total, generator=draw)[: max(1, round(share * total))].sort().values
    columns = chosen[:, None] * unit + torch.arange(unit)
    return columns.flatten().to(module.weight.device)


class Slice:
    """Some columns of one linear layer, trained in fp32.

    Attributes:
        core: (rows, columns chosen); the layer's own weight holds the same values in its own dtype.
    """

    def __init__(self, module: nn.Linear, columns: torch.Tensor) -> None:
        self._module, self._columns = module, columns
        self.core = nn.Parameter(module.weight.detach()[:, columns].float())
        module.forward = self._forward

    @torch.no_grad()
    def put_back(self) -> None:
        """Let the layer have what was trained."""
        self._module.weight[:, self._columns] = self.core.to(self._module.weight.dtype)

    def state(self) -> dict[str, torch.Tensor]:
        """Which columns, and their exact values."""
        return {"columns": self._columns, "core": self.core.detach()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """As it was; the layer has it already."""
        self._columns = state["columns"].to(self.core.device)
        self.core.data.copy_(state["core"])

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = _SlicedLinear.apply(x, self._module.weight, self._module.bias, self.core, self._columns)
        return out


class _SlicedLinear(torch.autograd.Function):
    """A linear layer that differentiates some columns of its weight only."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, core: torch.Tensor, columns: Any
    ) -> torch.Tensor:
        out = functional.linear(x, weight, bias)
        ctx.save_for_backward(x[..., columns].to(out.dtype), weight)
        ctx.input_dtype = x.dtype
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad,) = grads
        part, weight = ctx.saved_tensors
        to_input = (grad @ weight.to(grad.dtype)).to(ctx.input_dtype) if ctx.needs_input_grad[0] else None
        to_core = grad.flatten(0, -2).T @ part.flatten(0, -2)
        return to_input, None, None, to_core.float(), None


class Slices(Driver):
    """Layers follow their slices."""

    def __init__(self, slices: dict[str, Slice]) -> None:
        self._slices = slices

    def begin(self, loop: Loop) -> None:
        """Nothing to turn on: gradients find their way by themselves."""

    def after_step(self, rate: float) -> None:
        """Layers follow their slices."""
        for unit in self._slices.values():
            unit.put_back()

    def state(self) -> dict[str, Any]:
        """Of each slice."""
        return {name: unit.state() for name, unit in self._slices.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Of each slice."""
        for name, unit in self._slices.items():
            unit.load_state(state[name])
