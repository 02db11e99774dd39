"""Importance-sampled adapters (IST, arXiv 2410.11772): only some layers' adapters learn at a time, the needed ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from studio.engine.adapters import prepare_low_rank
from studio.engine.block_driver import BlockDriver
from studio.engine.layer_odds import ImportanceDraw
from studio.engine.layers import take_apart
from studio.engine.prepared import Base, Prepared
from studio.methods._lora import LowRankParams

DAMPED = 0.25
"""What is left of an adapter's answer while its importance is probed."""


def prepare_ist(base: Base, params: LowRankParams, *, share: float, interval: int) -> Prepared:
    """LoRA adapters on all layers, a share of which is trained at a time."""
    prepared = prepare_low_rank(base, params, init="default", quantise=False)
    layers = take_apart(prepared.model)
    blocks = [{name: p for name, p in block.items() if p.requires_grad} for block in layers.blocks]
    count = max(1, round(share * len(blocks)))
    draw = ImportanceDraw(count, len(blocks), lambda damped: _damped_adapters([layers.modules[at] for at in damped]))
    driver = BlockDriver(
        base,
        blocks,
        chooser=draw,
        always={},
        interval=interval,
        left="keep",  # adapters are small, and turns are short: what they remember is worth more than its memory
        dtype=torch.float32,
    )
    return replace(prepared, driver=driver)


@contextlib.contextmanager
def _damped_adapters(layers: list[nn.Module]) -> Iterator[None]:
    """Let only a share of these layers' adapters through."""
    adapters: list[Any] = [m for layer in layers for m in layer.modules() if hasattr(m, "lora_A")]
    before = [dict(adapter.scaling) for adapter in adapters]
    for adapter in adapters:
        adapter.scaling = {name: DAMPED * scale for name, scale in adapter.scaling.items()}
    try:
        yield
    finally:
        for adapter, scaling in zip(adapters, before, strict=True):
            adapter.scaling = scaling
