"""About how much memory tuning takes when only a model's number of weights is known: for lists of models.

The real forecast needs the model's shapes; a test holds this against it.
"""

from __future__ import annotations

from studio.machine.resources import Resources

_BYTES_A_WEIGHT = 0.53  # 4-bit layers with their scales
_SIDE_BYTES = 0.55e9  # embeddings and one row's activations of a model of a billion weights; they grow with the width
_FIXED_BYTES = 0.9e9  # CUDA itself, the adapter and its optimizer


def least_bytes(num_parameters: int) -> int:
    """What the lightest usual way (QLoRA, one row at a time, recomputed activations) takes, give or take a quarter."""
    width = (num_parameters / 1e9) ** 0.5
    return int(num_parameters * _BYTES_A_WEIGHT + _SIDE_BYTES * width + _FIXED_BYTES)


def fits_here(num_parameters: int, resources: Resources) -> bool:
    """Whether it could be tuned on the largest card here, or in RAM where there is none."""
    free = max((gpu.free_bytes for gpu in resources.gpus), default=resources.ram_free)
    return num_parameters > 0 and least_bytes(num_parameters) <= free
