"""An adapter put onto a model without weights, and proof that it belongs there. Nothing is merged here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import UserError
from studio.models.facts import read_json

if TYPE_CHECKING:
    import torch
    from torch import nn

ADAPTER = "default"
_BASE = re.compile(r"\.base_layer\.(weight|bias)$")


@dataclass(frozen=True)
class LoadedAdapter:
    """A model of shapes with a real adapter on it.

    Attributes:
        model: the base model's modules, with peft's around some of them; parameters of the base hold no memory.
        units: outermost modules that peft put in, by path in the base model.
    """

    model: Any
    units: dict[str, Any]


def load_adapter(base: Path, weights: Path) -> LoadedAdapter:
    """Put the adapter in `weights` onto the model in `base`.

    Raises:
        UserError: it is damaged, made for another model, or of a kind that cannot be merged.
    """
    try:
        adapted = _attach(empty_model(base), weights)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(
            f"This adapter does not fit {base.name}: {_first_line(error)}",
            f"It was trained on {_recorded_base(weights)}. Choose that base, or export the run with its own.",
        ) from error
    units = dict(_find_units(adapted.get_base_model()))
    if not units or not all(_can_merge(unit) for unit in units.values()):
        raise _unmergeable(weights)
    return LoadedAdapter(adapted.get_base_model(), units)


def empty_model(base: Path) -> Any:
    """The model in shapes only: every parameter is one zero, seen as if it had the full shape.

    Not the meta device: peft creates an adapter on its base's device and some methods cannot begin on meta.
    """
    import torch  # heavy
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base, trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            set_parameter(module, name, torch.zeros(()).expand(parameter.shape))
    model.tie_weights()
    return model.eval()


def set_parameter(module: nn.Module, path: str, value: torch.Tensor) -> None:
    """Put `value` in the place of a parameter."""
    from torch import nn  # heavy

    owner, _, name = path.rpartition(".")
    setattr(module.get_submodule(owner), name, nn.Parameter(value, requires_grad=False))


def _attach(model: Any, weights: Path) -> Any:
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict  # heavy
    from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict

    config = PeftConfig.from_pretrained(str(weights))
    config.inference_mode = True
    if config.is_prompt_learning:
        raise _unmergeable(weights)
    adapted = PeftModel(model, config, adapter_name=ADAPTER)
    _give_memory(adapted)
    saved = load_peft_weights(str(weights), device="cpu")
    # peft may save the untrained embedding beside its own tensors; the base's files have it already.
    saved = {name: tensor for name, tensor in saved.items() if not _BASE.search(name)}
    unused = set_peft_model_state_dict(adapted, saved, adapter_name=ADAPTER).unexpected_keys
    missing = sorted(
        set(get_peft_model_state_dict(adapted, adapter_name=ADAPTER, save_embedding_layers=False)) - set(saved)
    )
    # Both would pass in silence, and the merge would do less than was trained.
    if unused:
        raise ValueError(f"{len(unused)} of its tensors belong to no part of the model, such as {unused[0]}")
    if missing:
        raise ValueError(f"{len(missing)} of its tensors are not in its file, such as {missing[0]}")
    return adapted


def _give_memory(adapted: Any) -> None:
    """Whole modules that are trained started as copies of the base's, which hold no memory: give them some."""
    import torch  # heavy
    from peft.utils.other import ModulesToSaveWrapper

    for wrapper in adapted.modules():
        if isinstance(wrapper, ModulesToSaveWrapper):
            for name, parameter in list(wrapper.modules_to_save.named_parameters()):
                set_parameter(wrapper.modules_to_save, name, torch.zeros(parameter.shape))


def _find_units(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Outermost modules that peft put in, by their path in the base model."""
    from peft.tuners.tuners_utils import BaseTunerLayer  # heavy
    from peft.utils.other import AuxiliaryTrainingWrapper

    found: tuple[str, ...] = ()
    for path, module in model.named_modules():
        if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper) and not path.startswith(found):
            found += (f"{path}.",)
            yield path, module


def _can_merge(unit: Any) -> bool:
    from peft.tuners.tuners_utils import BaseTunerLayer  # heavy

    return not isinstance(unit, BaseTunerLayer) or type(unit).merge is not BaseTunerLayer.merge


def _unmergeable(weights: Path) -> UserError:
    kind = read_json(weights / "adapter_config.json", "").get("peft_type", "unknown")
    return UserError(
        f"What this method trains ({kind}) cannot be merged into the model's weights.",
        "Export it as an adapter, or chat with it here.",
    )


def _recorded_base(weights: Path) -> str:
    recorded = read_json(weights / "adapter_config.json", "").get("base_model_name_or_path")
    return Path(recorded).name if recorded else "another model"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # torch says which tensor in the line below its headline.
    return (lines[1] if len(lines) > 1 and lines[0].endswith(":") else lines[0] if lines else repr(error))[:300]
