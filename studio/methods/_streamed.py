"""What methods share whose base streams from the drive."""

from __future__ import annotations

from typing import Literal, TypeVar

from studio.declare import setting
from studio.methods import MethodParams
from studio.models.arithmetic import Shapes
from studio.models.store_layout import TILE, row_tile

HELD_NUMBERS = 1 << 23
"""An embedding of up to so many numbers stays in memory while layers stream, which saves looking at logits twice."""
SENT_AHEAD_BYTES = 512 << 20
"""What is read at once and is no larger is copied to a card while it computes with what came before."""
RECORDS_AHEAD = 2
"""Of optimizer state, records that are read ahead: one is computed on, one is ready, one is on its way."""
BEHIND_BYTES = 16 << 20
"""Writes under way at most: more would only be memory."""
_AT_ONCE = 2
"""Layers in memory: the one that is computed and the one that is read ahead."""


class CachedParams(MethodParams):
    """How much memory may keep of what streams."""

    cache_gb: float | None = setting(
        None,
        title="Streamed layers in RAM",
        help="Layers that stay in memory are not read again: each gigabyte saves two of reading a step. Where they are"
        " trained and all of them fit, their optimizer state follows, one gigabyte saved for each; what changes is"
        " written to the drive in each step all the same, so a killed run goes on at the exact step. Empty takes what"
        " is spare, with a quarter of the free memory left alone; 0 takes nothing.",
        unit="GB",
        ge=0,
        advanced=True,
    )

    layer_inputs: Literal["auto", "device", "ram", "drive"] = setting(
        "auto",
        title="Layer inputs",
        help="What each streamed layer was given waits for the way back: on the device, in RAM beside a card, or on the"
        " drive, where it is written and read in each step. Auto takes the first place where the run fits.",
        advanced=True,
    )

    @property
    def inputs_place(self) -> Literal["device", "ram", "drive"]:
        """Where they wait; the device while nobody has looked where the run fits."""
        return "device" if self.layer_inputs == "auto" else self.layer_inputs

    @property
    def cache_bytes(self) -> int | None:
        """None for what is spare."""
        return _bytes(self.cache_gb)


Streaming = TypeVar("Streaming", bound=CachedParams)


class GraphParams(MethodParams):
    """How much memory may keep of what layers that stream leave behind on the way up."""

    graph_gb: float | None = setting(
        None,
        title="Kept activations",
        help="Where the processor trains: layers that stream and whose activations stay in memory are not computed a"
        " second time on the way back, up to a quarter of a step's work, a third of an adapter's. Empty takes half of"
        " what is spare beside layers in RAM; 0 takes nothing.",
        unit="GB",
        ge=0,
        advanced=True,
    )

    @property
    def graph_bytes(self) -> int | None:
        """None for what is spare."""
        return _bytes(self.graph_gb)


def inputs_placements(params: Streaming) -> tuple[Streaming, ...]:
    """Where layer inputs may wait, the quickest place first."""
    if params.layer_inputs != "auto":
        return (params,)
    return tuple(params.model_copy(update={"layer_inputs": place}) for place in ("device", "ram", "drive"))


def layers_held(shapes: Shapes) -> int:
    """Numbers of the layers that are in memory at once."""
    return min(sum(shapes.layer_sizes), _AT_ONCE * max(shapes.layer_sizes, default=0))


def ends_held(shapes: Shapes) -> int:
    """Numbers of embedding and head where they stay in memory, 0 where they stream in tiles."""
    return shapes.embedding + shapes.head if shapes.embedding <= HELD_NUMBERS else 0


def tile_rows(shapes: Shapes) -> int:
    """Rows of the output matrix that are in memory at once; 0 for all."""
    return 0 if ends_held(shapes) else row_tile(shapes.hidden, TILE) // shapes.hidden


def _bytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * 1e9)
