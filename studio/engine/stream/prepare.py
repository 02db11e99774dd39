"""From a model folder to a streamed model: an empty model, a store beside the run, and the driver between them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from studio.engine.layers import decoder_layers
from studio.engine.load import attention_kind
from studio.engine.prepared import Base, Prepared
from studio.engine.stream.blocks import Blocks, are_products
from studio.engine.stream.clipping import Clipping
from studio.engine.stream.create import make_store
from studio.engine.stream.driver import StreamDriver, Streamed
from studio.engine.stream.heap import return_large_pieces
from studio.engine.stream.inputs import Inputs, Where
from studio.engine.stream.origin import Origin
from studio.engine.stream.residents import End, Smalls
from studio.engine.stream.result import write_result
from studio.engine.stream.schemes import SCHEMES
from studio.engine.stream.store import Store
from studio.engine.stream.tiled import TiledEmbedding, TiledEnd, TiledHead
from studio.engine.stream.turns import Kind, Turns
from studio.engine.stream.vertical import Vertical
from studio.engine.weightless import is_weightless
from studio.errors import UserError
from studio.machine.other_drives import check_drives, other_drives
from studio.machine.resources import cache_room
from studio.methods._streamed import HELD_NUMBERS
from studio.models.fingerprint import fingerprint
from studio.models.spread import check_parts, spread
from studio.models.store_layout import TILE, Layout, Unit, lay_out_layer, lay_out_unit, read_layout, row_tile
from studio.models.stored_weights import open_stored, read_numbers, write_pointer

PATIENCE_BYTES = 1_000_000_000
"""Read for each token, this makes an answer take minutes."""


def prepare_streamed(
    base: Base,
    *,
    scheme: str,
    clipping: Clipping,
    cache_bytes: int | None,
    graph_bytes: int | None,
    layer_inputs: Where = "device",
    learners: Kind = "all",
    at_once: int = 0,
    interval: int = 1,
    trains_ends: bool = True,
) -> Prepared:
    """A model whose layers stream from the run's own store.

    Args:
        learners, at_once, interval: see `Turns`.
        trains_ends: whether embedding, head and last norm learn.
        cache_bytes: weights that may stay in memory; None takes what is spare.
        graph_bytes: the same of layers' graphs.
        layer_inputs: where they wait for the way down.

    Raises:
        UserError: the architecture cannot be streamed, there is no room, or the store is another model's.
    """
    if is_weightless():
        raise UserError("A streamed model's memory is calculated, it cannot be traced.", "Leave out --exact.")
    return_large_pieces()
    model = empty_model(base.folder)
    layers = decoder_layers(model)
    origin = Origin(model, base.folder)
    origin.load_constants(model, torch.float32, base.device)
    matrices, vectors = origin.sort(model)
    folder = base.workspace or Path(tempfile.mkdtemp(prefix="tunesmith-store-"))
    made = None
    if base.resume is None:
        check_drives()
        layout = spread(_lay_out(model, layers, matrices, scheme, base.folder), other_drives(folder))
        made = make_store(folder, layout, origin.load, base.progress)
    store = _open(folder, base, scheme, cache_bytes)
    parts = _take_apart(model, layers, store, vectors, origin, base, trains_ends)
    torch.manual_seed(base.seed)
    turns = Turns(learners, len(layers), count=at_once, interval=interval, seed=base.seed)
    room = spare_for_graphs(base.device, graph_bytes)
    inputs = Inputs(layer_inputs, folder, store, len(layers), base.device)
    vertical = Vertical(parts.blocks, parts.embedding, parts.head, base.device, inputs, room)
    driver = StreamDriver(
        parts, vertical, clipping=clipping, device=base.device, seed=base.seed, turns=turns, made=made
    )

    def save(target: Path, is_final: bool) -> None:
        slots = store.flush()
        if is_final:
            smalls = {name: p.detach() for name, p in parts.smalls.parameters.items()}
            write_result(target, store, slots, smalls, origin, model.config)
            return
        write_pointer(target, folder, slots, dict(parts.smalls.parameters))

    return Prepared(
        model=model,
        save_weights=save,
        driver=driver,
        parameters=parts.stand_ins,
        saves_each_step=True,
        close=driver.close,
        cached_bytes=lambda: store.pool.held_bytes + vertical.graph_bytes,
        answers_slowly=uncached_bytes(store) > PATIENCE_BYTES,
    )


def empty_model(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The model's modules; parameters have shapes only, tables that are computed (rotary angles) are there."""
    from accelerate import init_empty_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention_kind(folder))
    model.tie_weights()
    model.config.use_cache = False
    return model


def _lay_out(
    model: Any, layers: list[nn.Module], matrices: dict[str, nn.Parameter], scheme: str, folder: Path
) -> Layout:
    """Units for each layer, and one for each matrix outside them."""
    inside = {id(p): at for at, layer in enumerate(layers) for p in layer.parameters()}
    shapes: list[dict[str, tuple[int, ...]]] = [{} for _ in layers]
    units: list[Unit] = []
    for name, parameter in matrices.items():
        if id(parameter) in inside:
            shapes[inside[id(parameter)]][name] = tuple(parameter.shape)
    for at, (layer, own) in enumerate(zip(layers, shapes, strict=True)):
        units += lay_out_layer(at, own) if are_products(layer) else [lay_out_unit(f"layer-{at:03d}", own)]
    outside = [(name, p) for name, p in matrices.items() if id(p) not in inside]
    kind, tiled = SCHEMES[scheme], tiled_names(model)
    for at, (name, p) in enumerate(outside):
        tile = row_tile(p.shape[1], min(kind.tile, TILE)) if name in tiled else 0
        units.append(lay_out_unit(f"end-{at}", {name: tuple(p.shape)}, tile=tile))
    return Layout(scheme, fingerprint(folder), kind.tile, kind.parts, tuple(units))


def _open(folder: Path, base: Base, scheme: str, cache_bytes: int | None) -> Store:
    layout = read_layout(folder)
    if layout.model != fingerprint(base.folder) or layout.scheme != scheme:
        raise UserError("The streamed weights of this run belong to another model or scheme.", "Start a new run.")
    check_parts(folder, layout)
    slots = [0] * len(layout.units)
    if base.resume is not None:
        slots = open_stored(base.resume).slots
    room = spare_bytes(cache_bytes)
    cached = cached_units(layout, room)
    room -= sum(layout.units[at].weight_bytes for at in cached)
    has_all = len(cached) == len(layout.units) - len(layout.ends)
    records = cached_records(layout, room) if has_all else set()
    pinned = base.device.type == "cuda"
    return Store(folder, layout, slots, cached=cached, cached_records=records, pinned=pinned)


def spare_bytes(wanted: int | None) -> int:
    """What a cache may take now."""
    return cache_room(psutil.virtual_memory().available, wanted)


def spare_for_graphs(device: torch.device, wanted: int | None) -> Callable[[], int]:
    """What graphs of layers may take of RAM, to be asked before each step; of a card nothing."""
    if device.type == "cuda":
        return lambda: 0
    return lambda: spare_bytes(wanted)


def uncached_bytes(store: Store) -> int:
    """What a forward pass reads from the drive, each time."""
    units = chain(*store.layout.layers)
    return sum(store.layout.units[at].weight_bytes for at in units if at not in store.cached)


def cached_units(layout: Layout, room: int) -> set[int]:
    """Units of layers, the last ones first: they are needed again soonest."""
    chosen: set[int] = set()
    for at in reversed([*chain(*layout.layers)]):
        room -= layout.units[at].weight_bytes
        if room < 0:
            break
        chosen.add(at)
    return chosen


def cached_records(layout: Layout, room: int) -> set[tuple[int, int]]:
    """(unit, first number) of the tiles whose state stays in memory, where all weights do already: layers first."""
    chosen: set[tuple[int, int]] = set()
    order = [*reversed([*chain(*layout.layers)]), *layout.ends] if layout.parts else []
    for at in order:
        for first, end in layout.tiles(layout.units[at]):
            room -= layout.record_bytes(end - first)
            if room < 0:
                return chosen
            chosen.add((at, first))
    return chosen


def _take_apart(
    model: Any,
    layers: list[nn.Module],
    store: Store,
    vectors: dict[str, nn.Parameter],
    origin: Origin,
    base: Base,
    trains_ends: bool,
) -> Streamed:
    """Give the model what stays in memory, and its layers their way to the store."""
    from accelerate.utils import set_module_tensor_to_device

    scheme = SCHEMES[store.layout.scheme]()
    for name in vectors:
        value = origin.load(name).to(torch.float32)
        set_module_tensor_to_device(model, name, base.device, value=value, dtype=torch.float32)
    outside = store.layout.ends
    ends = [_end(model, at, store, base) for at in outside if not store.layout.units[at].tile]
    model.tie_weights()
    for module in model.modules():
        module._buffers.update({name: b if b is None else b.to(base.device) for name, b in module._buffers.items()})
    stand_ins = {
        name: nn.Parameter(torch.empty(p.shape, device="meta"))
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    prefixes = {id(module): name for name, module in model.named_modules()}
    blocks = Blocks(
        layers,
        [prefixes[id(layer)] for layer in layers],
        store,
        scheme,
        exact=base.precision == "fp32",
        device=base.device,
    )
    parameters = dict(model.named_parameters())
    smalls = Smalls({name: parameters[name].requires_grad_(True) for name in vectors})
    exact = base.precision == "fp32"
    tiled = [
        TiledEnd(at, store, scheme, exact=exact, device=base.device, learns=trains_ends)
        for at in outside
        if store.layout.units[at].tile
    ]
    embedding, head = put_stand_ins(model, tiled) if tiled else (None, None)
    for end in ends:
        end.parameter.requires_grad_(trains_ends)
    owner = {id(p): at for at, layer in enumerate(layers) for p in layer.parameters()}
    layer_of = {name: owner[id(parameters[name])] for name in vectors if id(parameters[name]) in owner}
    return Streamed(store, scheme, blocks, ends, tiled, embedding, head, smalls, stand_ins, layer_of, trains_ends)


def tiled_names(model: Any) -> set[str]:
    """Embedding and head where they are too large to be held and of a kind that can be tiled."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    is_plain = isinstance(embedding, nn.Embedding) and type(head) is nn.Linear and head.bias is None
    if not is_plain or embedding.weight.numel() <= HELD_NUMBERS:
        return set()
    wanted = {id(embedding.weight), id(head.weight)}
    return {name for name, p in model.named_parameters() if id(p) in wanted}


def put_stand_ins(
    model: Any, tiled: list[TiledEnd], dtype: torch.dtype = torch.float32
) -> tuple[TiledEmbedding, TiledHead]:
    """Put the tiled ends in the place of the model's own."""
    ends = {end.tensor.name: end for end in tiled}
    names = {id(p): name for name, p in model.named_parameters()}
    before, after = model.get_input_embeddings(), model.get_output_embeddings()
    own, outer = ends[names[id(before.weight)]], ends[names[id(after.weight)]]
    head, embedding = TiledHead(outer), TiledEmbedding(own, getattr(before, "embed_scale", None), dtype)
    model.set_input_embeddings(embedding)
    model.set_output_embeddings(head)
    return embedding, head


def _end(model: Any, at: int, store: Store, base: Base) -> End:
    """A matrix outside the layers, in memory in fp32."""
    (tensor,) = store.layout.units[at].tensors
    master = read_numbers(store.folder, store.layout, at, store.slot(at), tensor.start, tensor.end)
    value = master.view(tensor.shape).to(base.device)
    owner = model.get_submodule(tensor.name.rpartition(".")[0])
    parameter = nn.Parameter(value)
    owner._parameters[tensor.name.rpartition(".")[2]] = parameter
    return End(at, tensor.name, parameter)
