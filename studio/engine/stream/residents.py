"""What stays in memory while layers pass through: norms and biases with their state, and the model's ends."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from studio.engine.stream.adamw import adamw
from studio.engine.stream.learner import Group


class Smalls:
    """Vectors (norms, biases): so few that they are kept whole, trained in fp32 and saved in each checkpoint.

    Args:
        parameters: by their names in the model.
    """

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        self.parameters = parameters
        self._first = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self._second = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def learn(self, name: str, group: Group, scale: float) -> None:
        """One step of one vector; its gradient is gone afterwards."""
        parameter = self.parameters[name]
        if parameter.grad is not None:
            gradient = parameter.grad if scale == 1.0 else parameter.grad.mul_(scale)
            adamw(parameter.data, gradient, self._first[name], self._second[name], group.decay, group.hyper)
        parameter.grad = None

    def state(self) -> dict[str, Any]:
        """Values and both memories."""
        values = {name: p.detach().cpu() for name, p in self.parameters.items()}
        return {
            "values": values,
            "first": {name: t.cpu() for name, t in self._first.items()},
            "second": {name: t.cpu() for name, t in self._second.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state["values"][name])
                self._first[name].copy_(state["first"][name])
                self._second[name].copy_(state["second"][name])


class End:
    """The embedding or the head (or a table of positions): in memory in fp32 while its state is in the store.

    Args:
        at: its unit.
        parameter: what the model computes with.
    """

    def __init__(self, at: int, name: str, parameter: nn.Parameter) -> None:
        self.at, self.name, self.parameter = at, name, parameter

    def keep(self, first: int, master: torch.Tensor) -> None:
        """Take up the new numbers of a tile."""
        flat = self.parameter.data.view(-1)
        count = min(len(master), len(flat) - first)
        if count > 0:
            flat[first : first + count].copy_(master[:count])
