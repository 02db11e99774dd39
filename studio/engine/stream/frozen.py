"""Adapters on a base that streams: its layers are only read, adapters and their state stay where they are trained."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from bitsandbytes.nn import Linear4bit
from torch import nn
from transformers.pytorch_utils import Conv1D

from studio.engine.adapters import attach, low_rank_config
from studio.engine.driver import Driver
from studio.engine.experts import has_experts, is_stack, reach, stand_in
from studio.engine.fused import set_lengths
from studio.engine.layers import decoder_layers
from studio.engine.load import keeps_exact
from studio.engine.prepared import Base, Prepared
from studio.engine.stream.blocks import Blocks, Place
from studio.engine.stream.buffers import Buffer
from studio.engine.stream.four_bits import Places, Unpacker, empty_layer, empty_stack, pack
from studio.engine.stream.heap import return_large_pieces
from studio.engine.stream.inputs import Inputs, Where
from studio.engine.stream.origin import Origin
from studio.engine.stream.prepare import (
    PATIENCE_BYTES,
    cached_units,
    empty_model,
    put_stand_ins,
    spare_bytes,
    spare_for_graphs,
    tiled_names,
    uncached_bytes,
)
from studio.engine.stream.schemes import Scheme
from studio.engine.stream.shards import ExactScheme, FrozenScheme, ready_shards
from studio.engine.stream.store import Store
from studio.engine.stream.tiled import TiledEmbedding, TiledEnd, TiledHead
from studio.engine.stream.vertical import MEASURED_TOKENS, Vertical
from studio.errors import UserError
from studio.methods._lora import LowRankParams
from studio.models.fingerprint import fingerprint
from studio.models.store_layout import TILE, Layout, lay_out_unit, row_tile

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows


def prepare_frozen(
    base: Base,
    params: LowRankParams,
    *,
    init: str,
    quantise: bool,
    cache_bytes: int | None,
    graph_bytes: int | None,
    layer_inputs: Where = "device",
) -> Prepared:
    """An adapter on a base whose layers are read from the drive, twice in each step.

    Args:
        quantise: keep the layers' matrices in 4 bits.
        cache_bytes: of layers that may stay in memory; None takes what is spare.
        graph_bytes: the same of layers' graphs; of a base in 4 bits there are none to keep, for bitsandbytes' hold its
            weights themselves, and of a mixture's none are kept.
        layer_inputs: where they wait for the way down.

    Raises:
        UserError: the architecture cannot be streamed, there is no room, or an adapter belongs outside the layers.
    """
    return_large_pieces()
    frame = _Frame(base, quantise=quantise)
    store = frame.open(cache_bytes)
    try:
        blocks = frame.blocks(store)
        embedding, head = frame.ends(store)
        config = low_rank_config(base, params, init)
        reach(frame.model, config)
        prepared = attach(frame.model, base, config, lengths=partial(_set_lengths, blocks))
        _refuse_outside(frame.model, frame.layers)
    except BaseException:
        store.close()
        raise
    room = spare_for_graphs(base.device, 0 if quantise or has_experts(frame.model) else graph_bytes)
    place = base.workspace or Path(tempfile.mkdtemp(prefix="tunesmith-inputs-"))
    inputs = Inputs(layer_inputs, place, store, len(blocks), base.device)
    vertical = Vertical(blocks, embedding, head, base.device, inputs, room)
    driver = FrozenDriver(store, blocks, vertical)
    return replace(
        prepared,
        driver=driver,
        close=driver.close,
        answers_slowly=uncached_bytes(store) > PATIENCE_BYTES,
        cached_bytes=lambda: store.pool.held_bytes + vertical.graph_bytes,
    )


class FrozenDriver(Driver):
    """The loop's hand on a streamed base: gradients of the adapters, in one pass up and one down."""

    measured_tokens = MEASURED_TOKENS
    recomputes = True

    def __init__(self, store: Store, blocks: Blocks, vertical: Vertical) -> None:
        self.store, self._blocks, self._vertical = store, blocks, vertical
        self._waited_before = 0.0

    def before_step(self, number: int, rows: list[Rows]) -> None:
        """Count from here."""
        self._waited_before = self.store.traffic.counts.waited

    def gradient(self, loop: Loop, rows: list[Rows], trained: float) -> float:
        """As `Loop.accumulate` leaves it, but for the order of addition."""
        under_way = self._vertical.climb(loop, rows)
        total = self._vertical.turn(loop, rows, under_way, loop.accelerator.num_processes / trained)
        for at in reversed(range(len(self._blocks))):
            self._vertical.descend(loop, under_way, at, then=at - 1)
        (summed,) = loop.sum(total)
        return summed / trained

    def take_back(self) -> bool:
        """A base that is only read is as it was."""
        self._vertical.take_back()
        return True

    def give_way(self) -> str:
        """Layer inputs leave a card."""
        return self._vertical.give_way()

    def waited(self) -> float:
        """Seconds of the step that computing stood still."""
        return self.store.traffic.counts.waited - self._waited_before

    def measure(self, loop: Loop, rows: list[Rows]) -> float:
        """All of them up together."""
        return self._vertical.measure(loop, rows)

    def close(self) -> None:
        """Let go of the shards."""
        self.store.close()
        self._vertical.close()


class _Frame:
    """A model without the matrices of its layers, and the shards that hold them."""

    def __init__(self, base: Base, *, quantise: bool) -> None:
        self._base, self._quantise = base, quantise
        self._dtype: torch.dtype = getattr(torch, base.dtype)
        self.model = empty_model(base.folder, self._dtype)
        self.layers = decoder_layers(self.model)
        self._origin = Origin(self.model, base.folder)
        self._origin.load_constants(self.model, self._dtype, base.device)
        matrices, vectors = self._origin.sort(self.model)
        inside = {id(p) for layer in self.layers for p in layer.parameters()}
        self._inside = {name: p for name, p in matrices.items() if id(p) in inside and self._is_large(name)}
        self._tiled = tiled_names(self.model)
        self._shapes = {name: tuple(p.shape) for name, p in matrices.items()}
        kept = [name for name in matrices if name not in self._inside and name not in self._tiled]
        self._scheme: Scheme = ExactScheme() if self._is_longer() else FrozenScheme()
        self._turned: set[str] = set()  # GPT-2's matrices are stored the other way round
        self._layout = self._lay_out()
        is_exact = keeps_exact(self.model)
        for name in [*kept, *vectors]:
            dtype = torch.float32 if is_exact(name) else self._dtype
            self._set(name, nn.Parameter(self._origin.load(name).to(base.device, dtype), requires_grad=False))
        self._empty_layers()
        self.model.tie_weights()
        for module in self.model.modules():
            module._buffers.update({name: b if b is None else b.to(base.device) for name, b in module._buffers.items()})
        self.model.requires_grad_(False)

    def open(self, cache_bytes: int | None) -> Store:
        """The shards, made first where they are not there."""
        base, layout = self._base, self._layout
        pack = self._pack if self._quantise else None
        folder = ready_shards(layout, self._scheme, self._origin.load, pack, base.progress, name=base.name)
        cached = cached_units(layout, spare_bytes(cache_bytes))
        pinned = base.device.type == "cuda"
        return Store(folder, layout, [0] * len(layout.units), cached=cached, pinned=pinned, shared=True)

    def blocks(self, store: Store) -> Blocks:
        """The layers, bound to a store."""
        names = {id(module): name for name, module in self.model.named_modules()}
        prefixes, device = [names[id(layer)] for layer in self.layers], self._base.device
        if self._quantise:
            unpacker = Unpacker(self._dtype, device)
            return _PackedBlocks(self.layers, prefixes, store, self._scheme, unpacker=unpacker, device=device)
        exact = self._base.precision == "fp32"
        return Blocks(self.layers, prefixes, store, self._scheme, exact=exact, device=device, widens=False)

    def ends(self, store: Store) -> tuple[TiledEmbedding | None, TiledHead | None]:
        """Embedding and head in tiles, where they are large."""
        exact = self._base.precision == "fp32"
        tiled = [
            TiledEnd(at, store, self._scheme, exact=exact, device=self._base.device, learns=False)
            for at in store.layout.ends
        ]
        return put_stand_ins(self.model, tiled, self._dtype) if tiled else (None, None)

    def _is_longer(self) -> bool:
        """Whether arithmetic in fp32 needs more of a matrix than its bf16."""
        origin = self._origin
        streamed = self._tiled if self._quantise else [*self._inside, *self._tiled]
        sources = [source for name in streamed for source in origin.sources[name]]
        return self._base.precision == "fp32" and any(origin.headers[source]["dtype"] != "BF16" for source in sources)

    def _is_large(self, name: str) -> bool:
        """Whether a layer's matrix streams: a linear layer's or a mixture's experts, not a router."""
        return isinstance(self.model.get_submodule(name.rpartition(".")[0]), (nn.Linear, Conv1D)) or is_stack(
            self.model, name
        )

    def _lay_out(self) -> Layout:
        units = []
        for at, layer in enumerate(self.layers):
            own = {id(p) for p in layer.parameters()}
            shapes = {name: self._kept_shape(name) for name, p in self._inside.items() if id(p) in own}
            units.append(lay_out_unit(f"layer-{at:03d}", shapes))
        for at, name in enumerate(name for name in self._shapes if name in self._tiled):
            shape = self._shapes[name]
            units.append(lay_out_unit(f"end-{at}", {name: shape}, tile=row_tile(shape[1], TILE)))
        kind = f"{self._scheme.key}-nf4-{self._base.dtype}" if self._quantise else self._scheme.key
        return Layout(kind, fingerprint(self._base.folder), self._scheme.tile, self._scheme.parts, tuple(units))

    def _kept_shape(self, name: str) -> tuple[int, ...]:
        shape = self._shapes[name]
        return (Places(prod(shape)).size // 2,) if self._quantise else shape

    def _pack(self, name: str) -> torch.Tensor:
        matrix = self._origin.load(name).to(self._dtype)
        return pack(matrix.T if name in self._turned else matrix)

    def _empty_layers(self) -> None:
        """In the place of each matrix something of its shape that takes no memory, on the device."""
        for name, parameter in self._inside.items():
            if self._quantise and is_stack(self.model, name):
                owner, _, last = name.rpartition(".")
                packed = empty_stack(parameter.shape, self._base.device)
                stand_in(self.model.get_submodule(owner), last, packed, parameter)
                continue
            if self._quantise:
                owner = name.removesuffix(".weight")
                layer = self.model.get_submodule(owner)
                if not isinstance(layer, nn.Linear):
                    self._turned.add(name)
                self._replace(owner, empty_layer(layer, self._dtype, self._base.device))
                continue
            nothing = torch.zeros((), dtype=self._dtype, device=self._base.device).expand(parameter.shape)
            self._set(name, nn.Parameter(nothing, requires_grad=False))

    def _replace(self, name: str, module: nn.Module) -> None:
        parent, _, last = name.rpartition(".")
        setattr(self.model.get_submodule(parent), last, module)
        self.model.is_loaded_in_4bit = True  # peft asks

    def _set(self, name: str, parameter: nn.Parameter) -> None:
        owner, _, attribute = name.rpartition(".")
        self.model.get_submodule(owner)._parameters[attribute] = parameter


class _PackedBlocks(Blocks):
    """Layers in 4 bits: they stay packed on the device as well, and each product unpacks its own matrix."""

    def __init__(self, *args: Any, unpacker: Unpacker, device: torch.device) -> None:
        super().__init__(*args, exact=False, device=device, widens=False)
        self._unpacker = unpacker

    def _payload(self, buffer: Buffer) -> torch.Tensor:
        return buffer.bytes

    def _put(self, place: Place, numbers: torch.Tensor) -> None:
        piece = numbers[2 * place.tensor.start : 2 * place.tensor.end]
        if isinstance(place.module, Linear4bit):
            packed = self._unpacker.parameter(piece, place.module)
        else:
            packed = self._unpacker.stack(piece, getattr(place.module, place.attribute).shape)
        place.module._parameters[place.attribute] = packed


def _set_lengths(blocks: Blocks, adapted: nn.Module) -> None:
    """DoRA begins with the lengths of the base's rows: each layer comes once for them.

    Raises:
        UserError: an adapter sits on something else than a linear layer.
    """
    for at, layer in enumerate(blocks.modules):
        blocks.bind(at, then=at + 1)
        set_lengths(layer)
    blocks.release()
    if any(getattr(layer, "lora_A", None) and not layer.lora_magnitude_vector for layer in adapted.modules()):
        raise UserError("DoRA on a streamed base works on linear layers only.", "Name others, or turn method.dora off.")


def _refuse_outside(model: Any, layers: list[nn.Module]) -> None:
    """An adapter on the embedding or the head would have to stream with it.

    Raises:
        UserError: there is one.
    """
    inside = {id(p) for layer in layers for p in layer.parameters()}
    outside = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in inside]
    if outside:
        raise UserError(
            "A streamed base takes adapters inside its layers only, not on embedding or head.",
            'Name others in method.targets, or "all-linear".',
        )
