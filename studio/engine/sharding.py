"""One model spread over several processes (FSDP2): each holds a part of every weight, gradient and optimizer state.

A layer's weights are gathered while it computes and let go again. Checkpoints hold whole tensors, so that a run can go
on with another number of processes. Not here: methods that turn weights on and off (see `Driver`); they stay whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from studio.engine.layers import decoder_layers
from studio.engine.lm_loss import LmLoss


class Sharding:
    """The parts of one model. Everything here is done by all processes together, or they wait for each other."""

    def __init__(self, loss: LmLoss, accelerator: Accelerator) -> None:
        """Cut the loss's model into parts, in place; its parameters are `DTensor`s from now on."""
        self._is_main = accelerator.is_main_process
        self._loss = loss
        mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
        causal: Any = loss.model
        for layer in decoder_layers(causal):
            fully_shard(layer, mesh=mesh)
        fully_shard(loss, mesh=mesh)  # embedding, last norm and head: together, as the loss uses them
        register_fsdp_forward_method(loss, "within")
        self._weights: dict[str, torch.Tensor] = {}
        causal.register_state_dict_post_hook(partial(self._put_whole))  # torch marks the hook, which a method forbids

    def within(self, work: Callable[[], Any]) -> Any:
        """Do `work`, which calls the model past the loss's own forward, with its ends gathered."""
        within: Any = self._loss.within
        return within(work)

    def total(self, size: Any) -> Any:
        """A size of which each process knows its own part of the sum."""
        return size.full_tensor() if isinstance(size, DTensor) else size

    def gather(self) -> None:
        """Whole weights into the first process's memory, where the model's `state_dict` finds them until `let_go`."""
        parted: Any = self._loss
        parted.reshard()  # an evaluation leaves the ends gathered
        whole = {id(p): self._whole(p.data) for p in self._loss.model.parameters()}
        if self._is_main:
            named = self._loss.model.named_parameters(remove_duplicate=False)
            self._weights = {name: whole[id(p)] for name, p in named}  # tied ones stay one tensor

    def let_go(self) -> None:
        """Forget the gathered weights."""
        self._weights = {}

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The optimizer's `state_dict` of whole tensors, in the first process's memory; elsewhere without them."""
        state = optimizer.state_dict()
        whole = {at: {key: self._whole(v) for key, v in one.items()} for at, one in state["state"].items()}
        return {**state, "state": whole}

    def load_optimizer_state(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Give each process its part of what `optimizer_state` (or a run of one process) has kept."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        cut = {at: {key: _part(v, parameters[at]) for key, v in one.items()} for at, one in state["state"].items()}
        optimizer.load_state_dict({**state, "state": cut})

    def _whole(self, value: Any) -> Any:
        """The tensor put together on the CPU, None on all processes but the first; what was never cut as it is."""
        if not isinstance(value, DTensor):
            return value
        whole = value.full_tensor()
        return whole.cpu() if self._is_main else None

    def _put_whole(self, module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        for name, whole in self._weights.items():
            state[prefix + name] = whole


def _part(value: Any, parameter: Any) -> Any:
    """This process's part of a state that has its parameter's shape; a count stays as it is."""
    if not torch.is_tensor(value) or value.shape != parameter.shape:
        return value
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
