"""Full fine-tuning of a model that fits neither the card nor the memory: weights and state stream from the drive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from studio.declare import setting
from studio.errors import Problem
from studio.methods import Method, Trained
from studio.methods._layers import whole_weights_problems
from studio.methods._streamed import (
    BEHIND_BYTES,
    RECORDS_AHEAD,
    CachedParams,
    GraphParams,
    ends_held,
    inputs_placements,
    tile_rows,
)
from studio.models.arithmetic import Shapes
from studio.models.facts import ModelFacts
from studio.models.store_layout import TILE

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class SsdOffloadParams(GraphParams, CachedParams):
    """How a number is kept on the drive, how gradients are clipped, how much memory may be used."""

    key: Literal["ssd_offload"] = "ssd_offload"
    scheme: Literal["C", "D", "E", "F", "I"] = setting(
        "E",
        title="Scheme",
        help="What is kept of each number on the drive, and so how many bytes a step reads and writes for it. C: all of"
        " AdamW in fp32, exactly as in memory (26 bytes). D: its memories in 16 bits (18). E: in 8 bits (14). F: the"
        " number itself in 24 bits as well (12). I: AdaLomo, no state at all (6). Fewer bytes are less time and wear.",
    )
    learners: Literal["all", "drawn", "turns"] = setting(
        "all",
        title="Who learns",
        help="All layers in each step. Drawn: a few, drawn anew every interval (LISA, arXiv 2403.17919). Turns: one"
        " after the other (BAdam, arXiv 2404.02827). Only those that learn are written and move their state, so a step"
        " is quicker and wears the drive far less; the others rest, and their state with them.",
    )
    active_layers: int = setting(
        2,
        title="Layers drawn",
        help="With drawn layers: how many learn at the same time.",
        ge=1,
        le=1000,
        advanced=True,
    )
    interval: int = setting(
        20,
        title="Steps a turn lasts",
        help="With drawn layers or turns: steps until others learn. Every layer should have several turns in the run.",
        unit="steps",
        ge=1,
        advanced=True,
    )
    train_embeddings: bool = setting(
        True,
        title="Train embeddings and head",
        help="Trains embedding, head and last norm throughout. Off leaves them as they are, which saves much with a"
        " large vocabulary, and the way back then ends at the lowest layer that learns.",
        advanced=True,
    )
    clipping: Literal["previous", "exact", "layer"] = setting(
        "previous",
        title="Clipping",
        help="Layers learn before the length of the whole gradient is known. Previous: by the step before, no layer"
        " beyond the limit. Exact: gradients come down twice, first for their length alone, which reads 2 to 4 bytes"
        " more for each number, writes no more, and computes three quarters more. Layer: each layer by itself.",
        advanced=True,
    )


def _problems(params: SsdOffloadParams, facts: ModelFacts | None) -> list[Problem]:
    return whole_weights_problems(facts)


_STATE_BYTES = {"C": 10.0, "D": 6.0, "E": 4 + 2 * 4 / 256, "F": 3 + 2 * 4 / 256, "I": 0.0}
"""Of residual and memories on the drive for each number, beside two for the weight."""
_REST_BYTES = {"C": 2, "D": 2, "E": 2, "F": 1, "I": 0}
"""Of those, the residual."""
_CARD_BYTES = {"C": 17e6, "D": 29e6, "E": 32e6, "F": 33e6, "I": 28e6}
"""What a card holds of a tile while it learns: measured with the tests' pretended card at layers of 12M and 49M, and
with scheme E at a mixture's of 7M, 26M and 76M."""
_PASS_EACH, _PASS_BYTES = 1.2, 10_000_000
"""What passing layers take beside: for each number of the widest matrix, and noise and pages of the allocator's."""
_STATELESS_TILES = 4
"""Of embedding or head without state: they are written as quickly as the next gradient comes."""
_SHORT_BYTES = 14_000_000
"""The same of 16-bit products: their kernels. These from five schemes, four widths, two lengths, and 8B geometry."""
_EXPERTS_SHORT_BYTES = 110_000_000
"""The same where experts get rows of as many lengths (two mixtures, two lengths)."""


def _estimate(params: SsdOffloadParams, shapes: Shapes) -> Trained:
    layer, state = max(shapes.layer_sizes, default=0), _STATE_BYTES[params.scheme]
    whole = layer if shapes.experts else 0  # experts come together, and the rest of their layer with them
    ends = ends_held(shapes)
    learning = _learning(params, shapes)
    last = 2 * shapes.layer_sizes[-1] if shapes.layer_sizes else 0
    descents = 2 if params.clipping == "exact" else 1
    passing = 2 * (1 + descents) * sum(shapes.layer_sizes) + _tiles_read(params, shapes, descents)
    held = layer + ends
    piece = 0 if whole else min(shapes.widest, layer)
    records = _records(state, layer, piece or layer)
    tiles = _at_once(int((2 + state) * TILE)) if state else _STATELESS_TILES * 2 * TILE
    return Trained(
        weights=held,
        exact=ends,
        gradients=ends + (layer if params.clipping == "layer" and not whole else piece),
        gathered=held,
        state=0,
        ends=ends > 0 and params.train_embeddings,
        layers=_learners(params, shapes),
        passing=whole,
        read_ahead=whole,
        elsewhere=max(0, shapes.total - held - whole),
        recomputes=True,
        layer_inputs=params.inputs_place,
        tile_rows=tile_rows(shapes),
        lingering_bytes=last,
        rest_bytes=_REST_BYTES[params.scheme],
        exact_bytes=_REST_BYTES[params.scheme] * (passing - last) // 2,
        descents=descents,
        cacheable_bytes=2 * sum(shapes.layer_sizes),
        cacheable_state_bytes=int(state * learning) if params.learners == "all" else 0,
        cache_bytes=params.cache_bytes,
        graph_bytes=params.graph_bytes,
        extra_bytes=records + int(_PASS_EACH * piece) + _PASS_BYTES,
        short_bytes=_EXPERTS_SHORT_BYTES if whole else _SHORT_BYTES,
        records_bytes=records,
        tiling_bytes=0 if ends or not params.train_embeddings else tiles,
        card_bytes=int(_CARD_BYTES[params.scheme]),
        learns_whole=params.clipping == "layer" and not whole,
        stored_bytes=int(2 * (2 + state) * shapes.total),
        read_bytes=passing + int((2 * ends if params.train_embeddings else 0) + state * learning),
        written_bytes=int((2 + state) * learning),
    )


def _records(state: float, layer: int, piece: int) -> int:
    """Bytes of the drive that are in memory beside a layer's weights while its matrices learn.

    Records of optimizer state; without any, weights that are on their way back while others are read in their place.
    """
    if each := int(state * min(TILE, piece)):
        return _at_once(each)
    return min(2 * layer, (BEHIND_BYTES - 1) // max(1, 2 * piece) * 2 * piece)


def _at_once(each: int) -> int:
    """Bytes of pieces of so many: one is changed, others are read ahead and written behind."""
    return each * (1 + RECORDS_AHEAD + BEHIND_BYTES // each)


def _tiles_read(params: SsdOffloadParams, shapes: Shapes, descents: int) -> int:
    """Bytes of embedding and head in tiles: the head for the loss, and those that learn once more for each descent."""
    if ends_held(shapes):
        return 0
    learning = shapes.embedding + shapes.head if params.train_embeddings else 0
    return 2 * (shapes.head or shapes.embedding) + 2 * descents * learning


def _learning(params: SsdOffloadParams, shapes: Shapes) -> int:
    """Numbers that learn in a step."""
    if params.learners == "all":
        return shapes.total if params.train_embeddings else sum(shapes.layer_sizes)
    ends = shapes.embedding + shapes.head if params.train_embeddings else 0
    return ends + _learners(params, shapes) * max(shapes.layer_sizes, default=0)


def _learners(params: SsdOffloadParams, shapes: Shapes) -> int:
    """Layers that learn in a step."""
    at_once = {"all": shapes.layers, "drawn": params.active_layers, "turns": 1}
    return min(shapes.layers, at_once[params.learners])


def _prepare(base: Base, params: SsdOffloadParams) -> Prepared:
    from studio.engine.stream.prepare import prepare_streamed  # heavy

    return prepare_streamed(
        base,
        scheme=params.scheme,
        clipping=params.clipping,
        cache_bytes=params.cache_bytes,
        graph_bytes=params.graph_bytes,
        layer_inputs=params.inputs_place,
        learners=params.learners,
        at_once=params.active_layers,
        interval=params.interval,
        trains_ends=params.train_embeddings,
    )


METHOD = Method(
    key="ssd_offload",
    title="SSD offload",
    summary="Trains every weight of a model larger than the card: layers stream from the drive, one at a time.",
    good_for="Full fine-tuning of 8B on a 6 GB card, with a fast SSD and patience.",
    avoid_when="The model fits in memory, or the drive is no SSD: each step reads and writes the whole model.",
    Params=SsdOffloadParams,
    learning_rate=2e-5,
    problems=_problems,
    estimate=_estimate,
    prepare=_prepare,
    lighter="lora",
    is_streamed=True,
    widens=True,
    placements=inputs_placements,
)
