"""OwLore (arXiv 2405.18380): layers drawn by their outliers, and inside a drawn layer GaLore's short gradients."""

from __future__ import annotations

import torch

from studio.engine.block_driver import BlockDriver
from studio.engine.block_training import load_for_blocks, outside
from studio.engine.driver import Several
from studio.engine.full import model_saver
from studio.engine.layer_odds import OutlierDraw
from studio.engine.layers import take_apart
from studio.engine.low_rank import LowRank
from studio.engine.prepared import Base, Prepared
from studio.engine.reduced import ReducedDriver
from studio.engine.reduction import Reduction, matrix


def prepare_owlore(base: Base, *, count: int, interval: int, rank: int, scale: float, others: bool) -> Prepared:
    """A model of which `count` layers are trained at a time, through stand-ins of `rank` directions."""
    model = load_for_blocks(base)
    layers = take_apart(model)
    inside = {name: p for block in layers.blocks for name, p in block.items()}
    weights = {name: p for name, p in inside.items() if p.ndim >= 2}
    reductions: dict[str, Reduction] = {name: LowRank(matrix(p), rank=rank, scale=scale) for name, p in weights.items()}
    reduced = ReducedDriver(weights, reductions, {}, interval=interval, seed=base.seed)
    blocks = BlockDriver(
        base,
        layers.blocks,
        chooser=OutlierDraw(count, layers.modules),
        always=outside(model, layers, "all" if others else "none"),
        interval=interval,
        stand_ins=reduced.cores(),
    )
    vectors = {name: p for name, p in inside.items() if name not in weights}
    return Prepared(
        model=model,
        save_weights=model_saver(model, base, kept=getattr(torch, base.dtype)),
        driver=Several(reduced, blocks),
        parameters={**reduced.cores(), **vectors, **blocks.always},
    )
