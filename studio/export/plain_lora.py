"""Plain LoRA merged without loading peft or the model's code: two matrices, a scale, a weight. The common case.

Loading those libraries takes longer than merging a small model does. Whatever is not plain (DoRA, trained modules,
other layouts, a mismatch that needs explaining) is left to `MergedTensors`, whose arithmetic this repeats bit by bit
(peft's `tuners/lora/layer.py`, `get_delta_weight`; tests/e2e/test_export_merge.py compares the two).
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import UserError
from studio.export.tensors import FolderTensors
from studio.models.facts import read_json, read_safetensors_header

if TYPE_CHECKING:
    import torch

_FACTOR = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
# Settings of peft's LoraConfig that leave the plain path when they are set.
_MORE = (
    "alora_invocation_tokens", "alpha_pattern", "arrow_config", "fan_in_fan_out", "kasa_config", "layer_replication",
    "lora_bias", "modules_to_save", "monteclora_config", "rank_pattern", "target_parameters", "trainable_token_indices",
    "use_bdlora", "use_dora", "use_qalora",
)  # fmt: skip


def open_plain_lora(base: Path, weights: Path) -> PlainLora | None:
    """The merged tensors, or None when the adapter is anything but plain LoRA that fits this base as it is."""
    config = read_json(weights / "adapter_config.json", "The adapter has no adapter_config.json.")
    file = weights / "adapter_model.safetensors"
    is_plain = config.get("peft_type") == "LORA" and config.get("bias", "none") == "none" and file.is_file()
    if not is_plain or any(config.get(name) for name in _MORE):
        return None
    source = FolderTensors(base)
    factors = _factors(read_safetensors_header(file), source.headers)
    if not factors:
        return None
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    return PlainLora(source, file, factors, scale)


def _factors(adapter: dict[str, Any], base: dict[str, Any]) -> set[str]:
    """Paths of the modules that both factors are there for; none when any tensor does not fit."""
    matches = {name: _FACTOR.fullmatch(name) for name in adapter}
    paths = {match[1] for match in matches.values() if match}
    for path in paths:
        shapes = [adapter.get(f"base_model.model.{path}.lora_{factor}.weight", {}).get("shape", []) for factor in "AB"]
        weight = base.get(f"{path}.weight", {}).get("shape", [])
        if len(weight) != 2 or any(len(shape) != 2 for shape in shapes):
            return set()
        if [shapes[1][0], shapes[0][1]] != weight or shapes[0][0] != shapes[1][1]:
            return set()
    return paths if all(matches.values()) else set()


class PlainLora:
    """A base folder's tensors with plain LoRA merged in. See `TensorSource`."""

    def __init__(self, base: FolderTensors, file: Path, paths: set[str], scale: float) -> None:
        from safetensors import safe_open  # heavy

        self.headers = base.headers
        self.config_changes: dict[str, Any] = {}
        self.merged_names = [f"{path}.weight" for path in sorted(paths)]
        self._base, self._scale = base, scale
        self._adapter: Any = safe_open(file, framework="pt")
        self._reached = set(self.merged_names)
        self._has_effect = False

    def load(self, name: str) -> torch.Tensor:
        """The tensor in the base's dtype, merged in fp32 where there are factors for it."""
        before = self._base.load(name)
        if name not in self._reached:
            return before
        merged = self._merge(name, before).to(before.dtype)
        # Once one weight is known to have changed there is no need to compare all others.
        self._has_effect = self._has_effect or not before.equal(merged)
        return merged

    def assert_effect(self) -> None:
        """See `assert_changed`."""
        assert_changed(self._has_effect)

    def _merge(self, name: str, before: torch.Tensor) -> torch.Tensor:
        import torch  # heavy

        path = f"base_model.model.{name.removesuffix('.weight')}"
        a, b = (self._adapter.get_tensor(f"{path}.lora_{factor}.weight").float() for factor in "AB")
        with torch.no_grad():
            change = b @ a
            change *= self._scale
            # In place, into the change: the sum is the same and a third matrix is saved.
            change += before
        return change


def assert_changed(has_changed: bool) -> None:
    """Call when all tensors have been loaded.

    Raises:
        UserError: merging changed nothing, so the export would be the base model under another name.
    """
    if not has_changed:
        raise UserError(
            "Merging changed no weight at all: the result would be the base model.",
            "The run learned nothing, or the adapter is another model's. Look at the run's loss.",
        )
