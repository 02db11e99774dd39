"""Learned offsets on a few attention heads (LoFiT, arXiv 2406.01563): first which heads, then what to add to them.

What is added before the output projection is the same as a bias after it (W (x + v) = W x + W v), so the result is an
ordinary model of an architecture that knows such a bias, and nothing has to be taught to other programs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studio.engine.adapters import checkpoint_activations
from studio.engine.driver import Driver
from studio.engine.full import stored_dtype
from studio.engine.layers import decoder_layers
from studio.engine.load import load_base
from studio.engine.prepared import Base, Prepared
from studio.errors import UserError
from studio.protocol import events

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows


def prepare_head_offsets(base: Base, *, share: float, selection_steps: int, sparsity: float) -> Prepared:
    """A model that is left alone but for offsets on some heads' output.

    Args:
        share: of all heads that get an offset.
        selection_steps: optimizer steps in which heads are chosen, by learning to scale them.
        sparsity: pull of those scales towards none (L1).
    """
    model: Any = load_base(base.folder, dtype=base.dtype, device=base.device)
    model.requires_grad_(False)
    if base.activation_checkpointing:
        checkpoint_activations(model)
    config = model.config.get_text_config()
    heads = [Heads(layer.get_submodule("self_attn.o_proj"), config) for layer in decoder_layers(model)]
    driver = HeadOffsets(heads, share=share, selection_steps=selection_steps, sparsity=sparsity)
    return Prepared(model=model, save_weights=_saver(model, base, heads), driver=driver, parameters=driver.parameters())


class Heads:
    """The heads of one layer, as its output projection reads them.

    Attributes:
        scale: (heads, head size) what is added to a factor of one, while heads are chosen.
        offset: (heads, head size) what is added to the heads' output afterwards.
        chosen: (heads, 1) 1 for those that have an offset, else 0; None while they are being chosen.
    """

    def __init__(self, projection: Any, config: Any) -> None:
        shape = (config.num_attention_heads, projection.in_features // config.num_attention_heads)
        device = projection.weight.device
        self.projection = projection
        self.scale = nn.Parameter(torch.zeros(shape, device=device))
        self.offset = nn.Parameter(torch.zeros(shape, device=device))
        self.chosen: torch.Tensor | None = None
        projection.register_forward_pre_hook(self._change)

    @torch.no_grad()
    def bias(self) -> torch.Tensor:
        """(outputs,) what the offsets come to behind the projection; zero while heads are being chosen."""
        chosen = torch.zeros_like(self.offset[:, :1]) if self.chosen is None else self.chosen
        return torch.mv(self.projection.weight.float(), (self.offset * chosen).flatten())

    def _change(self, module: nn.Module, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        (x,) = args
        if self.chosen is None:
            return ((x * (1 + self.scale.flatten())).to(x.dtype),)
        return ((x + (self.offset * self.chosen).flatten()).to(x.dtype),)


class HeadOffsets(Driver):
    """Chooses heads, then trains their offsets."""

    def __init__(self, heads: list[Heads], *, share: float, selection_steps: int, sparsity: float) -> None:
        self._heads, self._share, self._sparsity = heads, share, sparsity
        self._steps = selection_steps

    def parameters(self) -> dict[str, nn.Parameter]:
        """Scales and offsets of all layers."""
        both = {f"layers.{at}.scale": heads.scale for at, heads in enumerate(self._heads)}
        return both | {f"layers.{at}.offset": heads.offset for at, heads in enumerate(self._heads)}

    def begin(self, loop: Loop) -> None:
        """A run that ends before heads are chosen would train nothing."""
        self._loop = loop
        if loop.plan.total_steps <= self._steps:
            raise UserError(
                f"The run has {loop.plan.total_steps} steps, and choosing heads takes {self._steps}.",
                "Raise train.steps or lower method.selection_steps.",
            )
        self._turn_on()

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """When heads have been scaled long enough, settle which ones matter."""
        if number == self._steps + 1 and self._heads[0].chosen is None:
            self._choose(number)

    def gradient(self, loop: Loop, rows: list[Rows], trained: float) -> float:
        """The loss's, and while heads are being chosen a pull towards leaving them alone."""
        loss = loop.accumulate(rows, trained)
        for heads in self._heads:
            if heads.scale.grad is not None:
                heads.scale.grad += self._sparsity * heads.scale.detach().sign()
        return loss

    def state(self) -> dict[str, Any]:
        """Scales, offsets, and which heads."""
        return {
            "values": {name: p.detach() for name, p in self.parameters().items()},
            "chosen": [heads.chosen for heads in self._heads],
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Any]) -> None:
        """As it was."""
        for name, parameter in self.parameters().items():
            parameter.copy_(state["values"][name])
        for heads, chosen in zip(self._heads, state["chosen"], strict=True):
            heads.chosen = None if chosen is None else chosen.to(heads.offset.device)
        self._turn_on()

    def _turn_on(self) -> None:
        for heads in self._heads:
            heads.scale.requires_grad_(heads.chosen is None)
            heads.offset.requires_grad_(heads.chosen is not None)

    @torch.no_grad()
    def _choose(self, number: int) -> None:
        sizes = torch.stack([heads.scale.norm(dim=1) for heads in self._heads])
        count = max(1, round(self._share * sizes.numel()))
        mask = torch.zeros(sizes.numel(), device=sizes.device)
        mask[sizes.flatten().topk(count).indices] = 1.0
        for heads, chosen in zip(self._heads, mask.view_as(sizes), strict=True):
            heads.chosen = chosen[:, None]
            heads.scale.zero_()
            heads.scale.grad = None
            self._loop.optimizer.state.pop(heads.scale, None)
        self._turn_on()
        layers = [at for at, heads in enumerate(self._heads) if heads.chosen is not None and heads.chosen.any()]
        self._loop.emit(events.Layers(step=number, active=layers, total=len(self._heads)))
        self._loop.emit(events.Notice(text=f"{count} of {sizes.numel()} attention heads are chosen; now they learn."))


def _saver(model: Any, base: Base, heads: list[Heads]) -> Callable[[Path, bool], None]:
    """Writes the model with the offsets as biases of the output projections."""
    dtype = stored_dtype(base.folder)

    def save(folder: Path, is_final: bool) -> None:
        state = {name: tensor.detach().to("cpu", dtype) for name, tensor in model.state_dict().items()}
        names = {id(module): name for name, module in model.named_modules()}
        for own in heads:
            output = names[id(own.projection)]
            state[f"{output}.bias"] = own.bias().to("cpu", dtype)
            for part in ("q_proj", "k_proj", "v_proj"):  # the architecture has all four biases or none
                name = output.replace("o_proj", part)
                state[f"{name}.bias"] = torch.zeros(state[f"{name}.weight"].shape[0], dtype=dtype)
        before = model.config.dtype
        model.config.dtype, model.config.attention_bias = dtype, True
        model.save_pretrained(folder, state_dict=state, max_shard_size="5GB")
        model.config.dtype, model.config.attention_bias = before, False

    return save
