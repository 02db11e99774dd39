"""What a method is given (a base model that can be loaded) and what it gives back (a model ready to train)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from studio.engine.driver import Driver


@dataclass(frozen=True)
class Base:
    """A base model before it is loaded, with what a method must know to make it ready.

    Attributes:
        folder: the model folder.
        name: how the person called it, for adapter records; never an absolute path.
        device: where it will train.
        precision: "fp32" or "bf16", the precision of arithmetic.
        seed: seeds whatever the method draws.
        activation_checkpointing: recompute activations in backward.
        resume: the `weights` folder of the checkpoint that is taken up, or None for a new run.
        trainable: exact values of trained tensors to start from, by name; overrides `resume`. Empty for a new run.
        workspace: where large files of this run may lie, None for a place of the method's choice.
        is_sharded: whether the loaded model will be cut into parts, one for each process; it is loaded in RAM then.
        rows: token ids of the first `n` training rows, for methods that look at data before they begin.
        progress: takes (bytes done, all bytes) while weights are laid out on the drive; raises where that is not wanted
            any more.
    """

    folder: Path
    name: str
    device: torch.device
    precision: str
    seed: int
    activation_checkpointing: bool
    resume: Path | None = None
    trainable: dict[str, torch.Tensor] = field(default_factory=dict)
    rows: Callable[[int], list[list[int]]] = lambda n: []
    workspace: Path | None = None
    is_sharded: bool = False
    progress: Callable[[int, int], None] = lambda done, total: None

    @property
    def dtype(self) -> str:
        """The dtype that frozen weights are kept in."""
        return "float32" if self.precision == "fp32" else "bfloat16"


@dataclass(frozen=True)
class Prepared:
    """A model ready to train.

    Attributes:
        model: what forwards; parameters to train have `requires_grad`.
        save_weights: (folder, is_final): writes what a person keeps (a plain adapter or a full model).
        is_exact: True when `save_weights(folder, False)` holds every trained value exactly, so that a checkpoint
            needs no second copy.
        driver: the method's hand on the loop, where it needs one.
        parameters: what the optimizer sees, by name; None for all of the model's that have `requires_grad`.
        saves_each_step: True where what is trained lies on the drive, so that a checkpoint costs next to nothing and
            the one before it is gone with the next step.
        answers_slowly: whether each token of an answer reads the model from the drive, so that samples are left out.
        cached_bytes: of buffers that weights pass through or wait in, now.
        close: lets go of files and threads when the run has ended, however it ended.
    """

    model: nn.Module
    save_weights: Callable[[Path, bool], None]
    is_exact: bool = True
    driver: Driver | None = None
    parameters: dict[str, nn.Parameter] | None = None
    saves_each_step: bool = False
    close: Callable[[], None] = lambda: None
    answers_slowly: bool = False
    cached_bytes: Callable[[], int] = lambda: 0

    def trainable(self) -> dict[str, nn.Parameter]:
        """Trained parameters by name."""
        if self.parameters is not None:
            return self.parameters
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}
