"""What a model's parameters are called in its files, and how parts that the model keeps fused lie there.

transformers loads some architectures under other names, and stacks a mixture's experts into one tensor. Its own rules
are applied here, forwards and backwards, to the few tensors at hand.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class DiskNames:
    """Parameter names of a model against tensor names of its files.

    Attributes:
        sources: name in the model -> names in the files; several where the model keeps them as one tensor.
        tied: name of the head -> name of the embedding, both in the model, where they are one tensor.
    """

    def __init__(self, model: Any, disk_names: Iterable[str]) -> None:
        """Build it from a model that peft has not touched yet."""
        from transformers.conversion_mapping import get_model_conversion_mapping  # heavy
        from transformers.core_model_loading import WeightConverter, WeightRenaming

        transforms = get_model_conversion_mapping(model)
        self._renamings = [entry for entry in transforms if isinstance(entry, WeightRenaming)]
        self._converters = [entry for entry in transforms if isinstance(entry, WeightConverter)]
        self._model = model
        self._state = dict(model.state_dict())
        self.tied: dict[str, str] = dict(getattr(model, "all_tied_weights_keys", None) or {})
        self.sources: dict[str, list[str]] = {}
        for disk in disk_names:
            self.sources.setdefault(self._rename(disk)[0], []).append(disk)

    def fuse(self, memory: str, load: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The parameter as the model keeps it, from its tensors in the files."""
        from transformers.core_model_loading import dot_natural_key  # heavy

        disk_names = self.sources[memory]
        _, pattern = self._rename(disk_names[0])
        if pattern is None:
            return load(disk_names[0])
        converter = copy.deepcopy(next(entry for entry in self._converters if pattern in entry.source_patterns))
        for disk in sorted(disk_names, key=dot_natural_key):
            converter.add_tensor(memory, disk, self._rename(disk)[1], load(disk))
        return _only(converter.convert(memory, model=self._model, config=self._model.config)[memory])

    def split(self, memory: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
        """The reverse of `fuse`: tensors by their names in the files."""
        from transformers.core_model_loading import revert_weight_conversion  # heavy

        disk_names = self.sources[memory]
        if self._rename(disk_names[0])[1] is None:
            return {disk_names[0]: value}
        parts = revert_weight_conversion(self._model, {memory: value})
        assert set(parts) == set(disk_names), (sorted(parts)[:3], disk_names[:3])
        return {name: _only(part) for name, part in parts.items()}

    def _rename(self, disk: str) -> tuple[str, str | None]:
        from transformers.core_model_loading import rename_source_key  # heavy

        prefix = self._model.base_model_prefix
        memory, pattern = rename_source_key(disk, self._renamings, self._converters, prefix, self._state)
        return memory, pattern


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value
