"""Which device a run trains on, and the accelerator that carries placement, precision and several processes."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import gettempdir

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState

from studio.engine.products import keep_few_kernels, use_quick_products
from studio.errors import UserError
from studio.machine.resources import emulates_bf16


def make_accelerator(device: str, precision: str, *, widens: bool = False) -> Accelerator:
    """An accelerator for "auto", "cpu", "cuda", "cuda:1" or "mps", computing in "fp32" or "bf16".

    Args:
        widens: whether 16-bit weights can be computed with in fp32; done where a processor would emulate bf16.

    Raises:
        UserError: the device is not there.
    """
    _check(device)
    if device.startswith("cuda:") and "LOCAL_RANK" not in os.environ:
        torch.cuda.set_device(int(device.split(":")[1]))
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()  # one process may train twice (tests): the library keeps its first answer for ever
    on_processor = is_processor(device)
    is_wide = precision == "fp32" or (widens and on_processor and emulates_bf16())
    if on_processor:
        keep_few_kernels()
        if is_wide:
            use_quick_products()
    return Accelerator(
        cpu=on_processor,
        mixed_precision="no" if is_wide else "bf16",
        project_dir=str(Path(gettempdir())),
    )


def is_processor(device: str) -> bool:
    """Whether "cpu", or "auto" where there is nothing better."""
    has_more = torch.cuda.is_available() or torch.backends.mps.is_available()
    return device == "cpu" or (device == "auto" and not has_more)


def _check(device: str) -> None:
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdigit())):
        raise UserError(f'train.device: "{device}" is no device.', 'Use "auto", "cpu", "cuda", "cuda:1" or "mps".')
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(
            f'train.device: there is no "{device}"; PyTorch sees {found} CUDA device{"s" * (found != 1)}.',
            'Use "auto", or run "tunesmith doctor" to see why the card is not found.',
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError('train.device: "mps" is not available on this computer.', 'Use "auto".')
