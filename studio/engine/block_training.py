"""Models that are trained a few blocks at a time: drawn layers (LISA), the last ones, layers by turns (BAdam), shares
of each layer's matrices (HFT). How blocks are turned on and off: block_driver.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch

from studio.engine.adapters import checkpoint_activations
from studio.engine.block_driver import Block, BlockDriver
from studio.engine.choosers import Chooser, Cycle, Halves
from studio.engine.full import model_saver
from studio.engine.layers import Layers, take_apart
from studio.engine.load import load_base
from studio.engine.parking import Left
from studio.engine.prepared import Base, Prepared

Others = Literal["none", "head", "all"]


def prepare_layers(
    base: Base, make_chooser: Callable[[Layers], Chooser], *, interval: int, others: Others, left: Left = "drop"
) -> Prepared:
    """A model whose decoder layers are trained by turns.

    Args:
        make_chooser: from the model's layers, who chooses among them.
        interval: optimizer steps between choices; 0 chooses once.
        others: what else is trained throughout: nothing, head and last norm, or the embedding as well.
        left: what becomes of the optimizer state of frozen layers: dropped, moved to RAM or the disk, or kept in place.
    """
    model = load_for_blocks(base)
    layers = take_apart(model)
    driver = BlockDriver(
        base,
        layers.blocks,
        chooser=make_chooser(layers),
        always=outside(model, layers, others),
        interval=interval,
        left=left,
    )
    return prepare_blocks(model, base, driver)


def prepare_turns(base: Base, *, order: str, interval: int, others: bool) -> Prepared:
    """A model whose layers are trained one after the other; `others` gives embedding and head turns of their own."""
    model = load_for_blocks(base)
    layers = take_apart(model)
    head = outside(model, layers, "head")
    rest = {name: p for name, p in layers.others.items() if name not in head}
    extra = [block for block in (head, rest) if block and others]
    blocks = [*layers.blocks, *extra]
    layer_of = [*range(len(layers.blocks)), *(None for _ in extra)]
    chooser = Cycle(len(blocks), order)
    driver = BlockDriver(base, blocks, chooser=chooser, always={}, interval=interval, layer_of=layer_of)
    return prepare_blocks(model, base, driver)


def prepare_shares(base: Base, *, share: float, interval: int, others: bool) -> Prepared:
    """A model of which a share of each layer's matrices is trained, drawn kind by kind."""
    model = load_for_blocks(base)
    layers = take_apart(model)
    blocks: list[Block] = []
    groups: list[list[int]] = []
    layer_of: list[int | None] = []
    for at, layer in enumerate(layers.blocks):
        for kind in _kinds(layer):
            groups.append(list(range(len(blocks), len(blocks) + len(kind))))
            blocks += kind
            layer_of += [at] * len(kind)
    driver = BlockDriver(
        base,
        blocks,
        chooser=Halves(groups, share),
        always=outside(model, layers, "all" if others else "none"),
        interval=interval,
        layer_of=layer_of,
    )
    return prepare_blocks(model, base, driver)


def _kinds(layer: Block) -> list[list[Block]]:
    """A layer's parameters by module (a matrix and its bias belong together), those by kind: attention, ..., norms."""
    kinds: dict[str, dict[str, Block]] = {}
    for name, parameter in layer.items():
        module = name.rpartition(".")[0]
        kind = "norms" if parameter.ndim < 2 and "norm" in module.rpartition(".")[2] else module.rpartition(".")[0]
        kinds.setdefault(kind, {}).setdefault(module, {})[name] = parameter
    return [list(modules.values()) for modules in kinds.values()]


def outside(model: Any, layers: Layers, others: Others) -> Block:
    """Parameters outside the layers; an embedding that is the head as well counts as both."""
    if others == "none":
        return {}
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    is_tied = head is not None and head.weight is embedding.weight
    spared = set() if others == "all" or is_tied else {id(p) for p in embedding.parameters()}
    return {name: p for name, p in layers.others.items() if id(p) not in spared}


def load_for_blocks(base: Base) -> Any:
    """The model in the run's own dtype, everything frozen."""
    model: Any = load_base(base.resume or base.folder, dtype=base.dtype, device=base.device)
    model.requires_grad_(False)
    if base.activation_checkpointing:
        checkpoint_activations(model)
    return model


def prepare_blocks(model: Any, base: Base, driver: BlockDriver) -> Prepared:
    """What the loop gets: the optimizer sees all that may ever be trained."""
    for block in (driver.always, *driver.blocks):
        for parameter in block.values():
            parameter.requires_grad_(True)
    write = model_saver(model, base, kept=getattr(torch, base.dtype))

    def save(folder: Path, is_final: bool) -> None:
        write(folder, is_final)
        if not is_final:
            driver.parking.save(folder)

    return Prepared(model=model, save_weights=save, driver=driver, close=driver.parking.close)
