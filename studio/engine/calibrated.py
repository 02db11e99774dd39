"""Adapters that begin from what the training rows do in the model: EVA and CorDA, both peft's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from studio.engine.adapters import attach, load_frozen, low_rank_config, take_up
from studio.engine.experts import has_experts
from studio.engine.prepared import Base, Prepared
from studio.errors import UserError
from studio.methods._lora import OF_EXPERTS, LowRankParams
from studio.models.arithmetic import EXPERTS_BY_NAME

CALIBRATION_ROWS = 64
CALIBRATION_TOKENS = 512
"""Longest piece of a row that is looked at."""
_BATCH_ROWS = 4
_OWN_TOKENS = 128


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
    if config.target_modules == "all-linear" and has_experts(model):
        config.target_modules = _linear_names(model)  # experts have no inputs of one layer to look at
    config.eva_config = EvaConfig(rho=redistribution, use_label_mask=False)
    torch.manual_seed(base.seed)
    try:
        adapted = get_peft_model(model, config, low_cpu_mem_usage=True)
    except ValueError as error:
        raise UserError(f"The adapter does not fit this model: {error}", "Name layers that it has.") from error
    initialize_lora_eva_weights(
        adapted,
        dataloader=_batches(base),
        prepare_model_inputs_fn=lambda inputs, _: inputs["attention_mask"].flatten().bool(),
        prepare_layer_inputs_fn=lambda given, shown, _: given[0].reshape(-1, given[0].shape[-1])[shown],
        gather_distributed_inputs=False,
        show_progress_bar=False,
    )
    adapted.peft_config["default"].init_lora_weights = True  # whoever loads it has the weights, and no rows
    adapted.peft_config["default"].eva_config = None
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # EVA leaves directions in the inputs' dtype
    return take_up(adapted, base)


def prepare_corda(base: Base, params: LowRankParams, *, keeps_knowledge: bool) -> Prepared:
    """LoRA that begins from chosen directions of the weights, which are moved out of the base into the adapter.

    A resumed run measures the same rows again and comes to the same directions.

    Args:
        keeps_knowledge: begin from the directions that matter least for what the model writes by itself; else from
            those that matter most for the training rows.
    """
    from peft.tuners.lora.config import CordaConfig
    from peft.tuners.lora.corda import preprocess_corda

    model = load_frozen(base)
    config = low_rank_config(base, params, "corda")
    if config.target_modules == "all-linear":
        config.target_modules = _linear_names(model, least=params.rank)
    config.corda_config = CordaConfig(corda_method="kpm" if keeps_knowledge else "ipm")
    rows = _own_text(model, base) if keeps_knowledge else _rows(base)

    def run() -> None:
        with _flat_inputs(model):
            for row in rows:
                model(input_ids=torch.tensor([row], device=base.device), use_cache=False)

    preprocess_corda(model, config, run_model=run)
    prepared = attach(model, base, config, changes_base=True)
    _forget_directions(prepared.model)
    return prepared


@torch.no_grad()
def _own_text(model: Any, base: Base) -> list[list[int]]:
    """What the model writes by itself, each piece from another first token: a picture of what it knows."""
    draw = torch.Generator().manual_seed(base.seed)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    first = torch.randint(vocabulary, (CALIBRATION_ROWS, 1), generator=draw).to(base.device)
    torch.manual_seed(base.seed)
    length = min(_OWN_TOKENS, model.config.get_text_config().max_position_embeddings - 1)
    pieces: list[list[int]] = []
    for some in first.split(_BATCH_ROWS * 4):
        out = model.generate(
            input_ids=some,
            attention_mask=torch.ones_like(some),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            min_new_tokens=length,
            max_new_tokens=length,
            use_cache=True,
        )
        pieces += out.tolist()
    return pieces


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


def _linear_names(model: Any, *, least: int = 1) -> list[str]:
    """Last parts of the names of all linear layers but the head and those that peft would take for experts.

    Args:
        least: directions that they must have.
    """
    head = model.get_output_embeddings()
    found = ((name, m) for name, m in model.named_modules() if type(m) is torch.nn.Linear and m is not head)
    linears = {name.rpartition(".")[2]: m for name, m in found}
    taken = OF_EXPERTS if model.config.model_type in EXPERTS_BY_NAME else ()
    return sorted(name for name, m in linears.items() if name not in taken and min(m.weight.shape) >= least)


@contextlib.contextmanager
def _flat_inputs(model: Any) -> Iterator[None]:
    """Inside, linear layers are given (tokens, width), whatever shape their inputs have: the library counts on it."""

    def flatten(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        shapes.append(given[0].shape[:-1])
        return (given[0].reshape(-1, given[0].shape[-1]), *given[1:])

    def unflatten(_: torch.nn.Module, __: Any, out: torch.Tensor) -> torch.Tensor:
        return out.reshape(*shapes.pop(), -1)

    shapes: list[torch.Size] = []
    with contextlib.ExitStack() as hooks:
        for module in model.modules():
            if type(module) is torch.nn.Linear:
                hooks.callback(module.register_forward_pre_hook(flatten).remove)
                hooks.callback(module.register_forward_hook(unflatten).remove)
        yield


def _forget_directions(model: torch.nn.Module) -> None:
    """The library leaves each layer's directions on it after they have become the adapter."""
    for module in model.modules():
        if hasattr(module, "eigens"):
            del module.eigens
