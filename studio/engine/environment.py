"""What a run ran on: versions, device, driver. Kept beside the run, so that it can be understood later."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from accelerate import Accelerator

PACKAGES = ("tunesmith", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "safetensors", "tokenizers")


def describe_environment(accelerator: Accelerator) -> dict[str, Any]:
    """Versions and devices, as plain values."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "device": _device_name(accelerator.device),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "cuda": torch.version.cuda,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
