"""Adapters that begin from what the training rows do in the model: EVA and CorDA, both peft's."""

from __future__ import annotations

from typing import Any

import torch

from studio.engine.adapters import attach, load_frozen, low_rank_config, take_up
from studio.engine.prepared import Base, Prepared
from studio.errors import UserError
from studio.methods._lora import LowRankParams

CALIBRATION_ROWS = 64
CALIBRATION_TOKENS = 512
"""Longest piece of a row that is looked at."""
_BATCH_ROWS = 4


def prepare_eva(base: Base, params: LowRankParams, *, redistribution: float) -> Prepared:
    """LoRA whose directions are those of its layers' inputs, with more rank where inputs vary more.

    Ranks are settled once. A resumed run finds them in the adapter's record and measures nothing.
    """
    from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights

    model = load_frozen(base)
    if base.resume is not None:
        known = LoraConfig.from_pretrained(str(base.resume))
        known.inference_mode = False
        return attach(model, base, known)
    config = low_rank_config(base, params, "eva")
    config.eva_config = EvaConfig(rho=redistribution, use_label_mask=False)
    torch.manual_seed(base.seed)
    try:
        adapted = get_peft_model(model, config, low_cpu_mem_usage=True)
    except ValueError as error:
        raise UserError(f"The adapter does not fit this model: {error}", "Name layers that it has.") from error
    initialize_lora_eva_weights(
        adapted, dataloader=_batches(base), gather_distributed_inputs=False, show_progress_bar=False
    )
    adapted.peft_config["default"].init_lora_weights = True  # whoever loads it has the weights, and no rows
    adapted.peft_config["default"].eva_config = None
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # EVA leaves directions in the inputs' dtype
    return take_up(adapted, base)


def prepare_corda(base: Base, params: LowRankParams) -> Prepared:
    """LoRA that begins from the directions of the weights that matter most for the rows' inputs.

    They are moved out of the base into the adapter. A resumed run measures the same rows again and comes to the same
    directions.
    """
    from peft.tuners.lora.config import CordaConfig
    from peft.tuners.lora.corda import preprocess_corda

    model = load_frozen(base)
    config = low_rank_config(base, params, "corda")
    if config.target_modules == "all-linear":
        config.target_modules = _linear_names(model)
    config.corda_config = CordaConfig(corda_method="ipm")

    def run() -> None:
        for row in _rows(base):
            model(input_ids=torch.tensor([row], device=base.device), use_cache=False)

    preprocess_corda(model, config, run_model=run)
    prepared = attach(model, base, config, changes_base=True)
    _forget_directions(prepared.model)
    return prepared


def _rows(base: Base) -> list[list[int]]:
    return [row[:CALIBRATION_TOKENS] for row in base.rows(CALIBRATION_ROWS)]


def _batches(base: Base) -> list[dict[str, torch.Tensor]]:
    """Rows side by side, padded behind."""
    rows = _rows(base)
    batches = []
    for at in range(0, len(rows), _BATCH_ROWS):
        some = [torch.tensor(row) for row in rows[at : at + _BATCH_ROWS]]
        ids = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
        lengths = torch.tensor([len(row) for row in some])
        mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
        batches.append({"input_ids": ids.to(base.device), "attention_mask": mask.to(base.device)})
    return batches


def _linear_names(model: Any) -> list[str]:
    """Last parts of the names of all linear layers but the head, which is what "all-linear" means."""
    head = model.get_output_embeddings()
    linears = (name for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head)
    return sorted({name.rpartition(".")[2] for name in linears})


def _forget_directions(model: torch.nn.Module) -> None:
    """The library leaves each layer's directions on it after they have become the adapter."""
    for module in model.modules():
        if hasattr(module, "eigens"):
            del module.eigens
