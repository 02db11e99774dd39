"""Low-rank adapters on peft: attached, taken up again exactly, and saved as a plain adapter on the untouched base."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from studio.engine.experts import make_stacks, reach
from studio.engine.fused import fuse, set_lengths
from studio.engine.load import load_base
from studio.engine.prepared import Base, Prepared
from studio.errors import UserError
from studio.methods._lora import LowRankParams

CHANGES_BASE = ("pissa", "pissa_niter_16", "olora")
"""Beginnings that move part of the base into the adapter; saved, they become a plain adapter of twice the rank."""


def prepare_low_rank(base: Base, params: LowRankParams, *, init: str, quantise: bool) -> Prepared:
    """Attach a low-rank adapter to a loaded base.

    Raises:
        UserError: a named layer is not in the model.
    """
    model = load_frozen(base, quantise=quantise)
    config = low_rank_config(base, params, init)
    reach(model, config)
    return attach(model, base, config, changes_base=init in CHANGES_BASE)


def load_frozen(base: Base, *, quantise: bool = False) -> Any:
    """The base model, nothing of it trained."""
    model = load_base(base.folder, dtype=base.dtype, device=base.device, quantise=quantise)
    model.requires_grad_(False)
    _keep_unpacked(model)
    if base.activation_checkpointing:
        checkpoint_activations(model)
    return model


def _keep_unpacked(model: nn.Module) -> None:
    """Keep 4-bit layers from packing themselves for inference at the first evaluation.

    On processors with AVX512-BF16 bitsandbytes does so, and training goes on with the packed weights: through a kernel
    without a gradient of its own, and with other rounding than in a run that is resumed.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def attach(
    model: Any,
    base: Base,
    config: Any,
    *,
    changes_base: bool = False,
    lengths: Callable[[nn.Module], None] | None = None,
) -> Prepared:
    """Put an adapter of peft's on a loaded base, new or as a checkpoint left it.

    Args:
        config: peft's, of any kind that merges.
        changes_base: whether its beginning moves part of the base into it.
        lengths: makes plain adapters DoRA's, where weights are not all there for peft to do so.

    Raises:
        UserError: a named layer is not in the model, or its shape does not suit the method.
    """
    from peft import get_peft_model

    torch.manual_seed(base.seed)
    is_dora = getattr(config, "use_dora", False)
    if lengths is not None:
        config.use_dora = False
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"The adapter does not fit this model: {error}", "Name layers that it has.") from error
    if is_dora:
        (lengths or set_lengths)(adapted)
        config.use_dora = True
    return take_up(adapted, base, changes_base=changes_base)


def take_up(adapted: Any, base: Base, *, changes_base: bool = False) -> Prepared:
    """An attached adapter ready to train, with a checkpoint's values where there is one."""
    adapter = Adapter(adapted, base, changes_base=changes_base)
    adapter.take_up(base)
    fuse(adapted)
    make_stacks(adapted, again=not base.activation_checkpointing)
    return Prepared(model=adapted, save_weights=adapter.save, is_exact=not changes_base)


def checkpoint_activations(model: Any) -> None:
    """Recompute activations in backward, in the form that works with frozen inputs."""
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def low_rank_config(base: Base, params: LowRankParams, init: str) -> Any:
    """peft's settings of a low-rank adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=params.targets,
        use_rslora=params.rank_stabilised,
        use_dora=params.dora,
        init_lora_weights=True if init == "default" else init,
        task_type="CAUSAL_LM",
        base_model_name_or_path=base.name,
    )


class Adapter:
    """An attached adapter and how it is saved."""

    def __init__(self, model: nn.Module, base: Base, *, changes_base: bool) -> None:
        self.model: Any = model
        self.changes_base = changes_base
        self._name = base.name
        self._initial = {k: v.detach().clone() for k, v in self._state().items()} if changes_base else {}

    def take_up(self, base: Base) -> None:
        """Continue from a checkpoint: exact trained values, or the adapter as it was saved."""
        if base.trainable:
            with torch.no_grad():
                for name, parameter in self.model.named_parameters():
                    if parameter.requires_grad:
                        parameter.copy_(base.trainable[name])
        elif base.resume is not None:
            from peft import set_peft_model_state_dict
            from safetensors.torch import load_file

            set_peft_model_state_dict(self.model, load_file(base.resume / "adapter_model.safetensors"))

    def save(self, folder: Path, is_final: bool) -> None:
        """Write a peft adapter that is right on the untouched base."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self._state().items()}
        config: Any = copy.deepcopy(self.model.peft_config["default"])
        config.base_model_name_or_path = self._name
        config.inference_mode = True
        if self.changes_base:
            state = self._plain(state)
            # Twice the rank at the same scale: alpha doubles, or grows by the root of two where the root divides.
            config.lora_alpha *= 2**0.5 if config.use_rslora else 2
            config.r *= 2
            config.init_lora_weights, config.corda_config = True, None
        save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        config.save_pretrained(folder)

    def _state(self) -> dict[str, torch.Tensor]:
        from peft import get_peft_model_state_dict

        return dict(get_peft_model_state_dict(self.model))

    def _plain(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """[A; A0] and [B, -B0]: what was learned, less what had been taken out of the base at the start."""
        plain = {}
        for name, tensor in state.items():
            start = self._initial[name].cpu()
            is_down = "lora_A" in name
            plain[name] = torch.cat([tensor, start], 0) if is_down else torch.cat([tensor, -start], 1)
        return plain
