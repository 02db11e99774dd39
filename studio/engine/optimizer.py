"""Parameter groups and the optimizer, from the spec."""

from __future__ import annotations

import torch
from torch import nn

from studio.engine.prepared import Prepared
from studio.optimizers import OPTIMIZERS
from studio.spec.run_spec import RunSpec


def build_optimizer(prepared: Prepared, spec: RunSpec) -> torch.optim.Optimizer:
    """The spec's optimizer over everything that is trained; biases and norms are never decayed."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in prepared.trainable().items():
        (plain if _is_spared(name, parameter) else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": spec.train.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    unit = OPTIMIZERS.get(spec.optimizer.key)
    built = unit.build([group for group in groups if group["params"]], spec.train.learning_rate or 0.0, spec.optimizer)
    assert isinstance(built, torch.optim.Optimizer)
    return built


def _is_spared(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim < 2 or name.endswith(".bias") or "norm" in name.lower().split(".")[-2:][0]
