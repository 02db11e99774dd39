"""LISA (arXiv 2403.17919): every few steps a few layers are drawn; only they are trained until the next draw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, MethodParams, Trained
from studio.methods._layers import hold_layers, layer_problems
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts, read_facts
from studio.sizes import human_bytes

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


_BYTES_EACH = 16  # weight, gradient and AdamW's two memories, in fp32


class LisaParams(MethodParams):
    """How many layers learn at once, for how long, and what learns throughout."""

    key: Literal["lisa"] = "lisa"
    active_layers: int = setting(
        2,
        title="Active layers",
        help="Layers trained at the same time. More learn faster and cost their gradients and optimizer memory.",
        ge=1,
        le=1000,
    )
    interval: int = setting(
        20,
        title="Steps a draw lasts",
        help="Optimizer steps until other layers are drawn. Plan for every layer to be drawn several times in the run.",
        unit="steps",
        ge=1,
    )
    train_embeddings: bool = setting(
        True,
        title="Train embeddings and head",
        help="Trains embedding, head and last norm throughout, as the paper does. With a large vocabulary they are "
        "most of this method's memory; off leaves them as they are.",
    )
    sampling: Literal["uniform", "outliers", "importance"] = setting(
        "uniform",
        title="Odds of a layer",
        help="Uniform as in the paper; by each layer's share of outlying weights (OwLore, arXiv 2405.18380); or by how "
        "much the loss needs the layer (after IST, arXiv 2410.11772), measured now and then with a few forward passes.",
        advanced=True,
    )
    frozen_state: Literal["drop", "ram", "disk"] = setting(
        "drop",
        title="Optimizer memory of frozen layers",
        help="Dropped when a layer is frozen, so that it starts afresh; or kept until its next turn, in RAM or on the "
        "disk. Kept, it grows to that of full fine-tuning as layers have had their turns.",
        advanced=True,
    )


def _problems(params: LisaParams, facts: ModelFacts | None) -> list[Problem]:
    found = layer_problems(params.active_layers, "method.active_layers", facts)
    if params.train_embeddings and facts and facts.num_layers:
        found += _heavy_embeddings(params, facts)
    return found


def _heavy_embeddings(params: LisaParams, facts: ModelFacts) -> list[Problem]:
    """A word, with this model's figures, where embedding and head outweigh the layers that are trained."""
    is_tied = bool(facts.config.get("tie_word_embeddings"))
    outside = facts.vocab_size * facts.hidden_size * (1 if is_tied else 2)
    layers = max(0, facts.num_parameters - outside) * params.active_layers // facts.num_layers
    if outside <= layers:
        return []
    share = round(100 * outside / (outside + layers))
    message = (
        f"Embedding and head are {share}% of what this trains: {human_bytes(_BYTES_EACH * outside)} for weights, "
        f"gradients and optimizer, against {human_bytes(_BYTES_EACH * layers)} for the active layers."
    )
    hint = "Turn method.train_embeddings off unless the task needs new words."
    return [Problem("method.train_embeddings", message, hint, is_fatal=False)]


def _estimate(params: LisaParams, shapes: Shapes) -> Trained:
    held = hold_layers(shapes, params.active_layers, others=params.train_embeddings)
    waiting = sum(shapes.layer_sizes) - sum(sorted(shapes.layer_sizes, reverse=True)[: params.active_layers])
    return replace(
        held,
        parked=waiting if params.frozen_state == "ram" else 0,
        shelved=waiting if params.frozen_state == "disk" else 0,
    )


def _prepare(base: Base, params: LisaParams) -> Prepared:
    from studio.engine.block_training import prepare_layers  # heavy
    from studio.engine.layer_odds import layer_chooser

    if params.train_embeddings and params.active_layers >= read_facts(base.folder).num_layers:
        base = replace(
            base, precision="fp32"
        )  # nothing is ever frozen, so nothing is kept short: as `full`, bit for bit
    return prepare_layers(
        base,
        lambda layers: layer_chooser(params.sampling, params.active_layers, layers),
        interval=params.interval,
        others="all" if params.train_embeddings else "none",
        left=params.frozen_state,
    )


METHOD = Method(
    key="lisa",
    title="LISA",
    summary="Trains a few whole layers at a time, drawn anew every few steps: every weight learns, and only the active "
    "layers cost gradients and optimizer memory.",
    good_for="Changing more than an adapter can, in LoRA's memory; its authors report better chat scores than LoRA's.",
    avoid_when="Runs are too short for every layer to have its turns, or the vocabulary is large and embeddings must "
    "be trained too.",
    Params=LisaParams,
    learning_rate=2e-5,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
)
