"""A model's decoder layers without weights of their own: they are bound to what has just been read, and let go again.

The layers' modules stay as transformers made them (each knows its number, its window, its kind of attention); only
their matrices come and go. A layer whose matrices are products of their own lies in several units of the store: each
comes when its module is called, and again when the way back asks for it, so memory holds fp32 numbers and gradients of
one at a time. Called outside training layers stream by themselves, so that evaluation and answers work.
"""

from __future__ import annotations

import contextlib
import inspect
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from studio.engine.stream.buffers import Buffer
from studio.engine.stream.courier import Courier, Parcel
from studio.engine.stream.heap import return_holes
from studio.engine.stream.product import Product
from studio.engine.stream.schemes import Scheme
from studio.engine.stream.store import Store
from studio.engine.stream.traffic import Reading
from studio.methods._streamed import HELD_NUMBERS, SENT_AHEAD_BYTES
from studio.models.store_layout import StoredTensor


class Reached(Exception):
    """The last layer was reached; thrown to end a forward pass whose rest is not wanted."""


@dataclass
class Call:
    """What a model hands its layers for one micro-batch, noted without running them.

    Attributes:
        hidden: what the first layer is given, with the graph that leads back to the embedding.
        arguments: of each layer, positional (without the hidden states) and by name.
    """

    hidden: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    arguments: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)


@dataclass
class Graph:
    """What a layer's way up left behind. `sizes`: bytes of each piece of memory, by its address."""

    sizes: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Lying:
    """Part of a unit's weights that a graph wants again: where it lies among them."""

    unit: int
    size: torch.Size
    stride: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class Place:
    """A matrix's place in the model and in its unit.

    Attributes:
        empty: stands there while nothing is bound.
        own: stands there while something is; the same one always, so that a graph's gradients find it.
    """

    module: nn.Module
    attribute: str
    empty: nn.Parameter
    own: nn.Parameter
    tensor: StoredTensor


@dataclass
class Held:
    """A unit of the bound layer that is here.

    Attributes:
        buffer: its 16 bits, as read.
        rest: what is missing to fp32, where arithmetic wants it.
        there: on a card, what it computes with, where that is not the same bits; else `parcel`.
    """

    buffer: Buffer
    rest: Buffer | None
    there: torch.Tensor | None = None
    parcel: Parcel | None = None


class Blocks:
    """The streamed layers.

    Args:
        modules: decoder layers, their matrices without memory.
        prefixes: the name of each layer in the model.
        exact: whether arithmetic is fp32, so that residuals are read as well.
        widens: whether bf16 weights become fp32 where nothing casts for them.

    Attributes:
        units: of each layer, in the store.
        learned: told of each unit of the bound layer whose matrices all have the gradients of a backward pass.
    """

    def __init__(
        self,
        modules: list[nn.Module],
        prefixes: list[str],
        store: Store,
        scheme: Scheme,
        *,
        exact: bool,
        device: torch.device,
        widens: bool = True,
    ) -> None:
        self.modules, self.store, self.units = modules, store, store.layout.layers
        self.learned: Callable[[int], None] = _nothing
        self._scheme, self._exact, self._device, self._widens = scheme, exact, device, widens
        self._places = {
            unit: [_place(module, prefix, tensor, device) for tensor in store.layout.units[unit].tensors]
            for module, prefix, units in zip(modules, prefixes, self.units, strict=True)
            for unit in units
        }
        self._originals = [module.forward for module in modules]
        self._at: int | None = None
        self._held: dict[int, Held] = {}
        self._ahead: dict[int, tuple[Reading, Reading | None]] = {}
        self._coming: deque[int] = deque()
        self._is_last_use = self._is_wide = False
        self._is_spoilt = False  # whether gradients lie where the weights of `_now` did
        self._now: int | None = None  # the unit that stands in the model
        self._numbers = torch.empty(0)  # its own, as they are computed with
        self._scratch = torch.empty(0)  # kept from one to the next: fresh memory costs as much as the copy
        self._gradients = torch.empty(0)
        self._missing: dict[int, int] = {}
        self._courier = Courier(device) if device.type == "cuda" and not exact else None
        self._sent_ahead: dict[int, Held] = {}  # one at most
        self._gives_tuple = False
        self._call: Callable[..., Any] = self._streamed
        wholes = [sum(map(self._bytes, units)) * (1 if len(units) > 1 else 2) for units in self.units]
        self._room = max(wholes, default=0)
        for at, module in enumerate(modules):
            module.forward = self._forward(at)
            for unit in self.units[at]:
                self._listen(unit, is_piece=self.comes_in_pieces(at))

    def __len__(self) -> int:
        return len(self.modules)

    def comes_in_pieces(self, at: int) -> bool:
        """Whether a layer's matrices come one after the other."""
        return len(self.units[at]) > 1

    def bind(self, at: int, *, then: int, train: bool = False, wide: bool = False) -> None:
        """Make a layer ready to run, and begin to read the one that is needed after it.

        Args:
            train: whether its matrices get gradients.
            wide: bf16 weights as fp32, for a forward pass that is not under autocast.
        """
        wide = wide and self._widens and not self._exact
        if self._at != at or self._is_wide != wide:
            self.release()
            if self._is_wide != wide:
                self._return_parcel()
            return_holes()
            if not (wide or self._exact):  # the proofs before training want it once
                self._scratch = torch.empty(0)
        self._at, self._is_wide, self._is_last_use = at, wide, False
        for place in self._all_places(at):
            place.own.requires_grad_(train)
            place.own.grad = None
        self._missing.clear()
        self._coming = deque([*self.units[at], *(self.units[then] if 0 <= then < len(self) else ())])
        self._read_ahead()
        if not self.comes_in_pieces(at):
            self._bring(self.units[at][0])

    def last_use(self) -> None:
        """From now on each matrix of the bound layer is needed once more: it goes as soon as the next one comes."""
        assert self._at is not None
        if self.comes_in_pieces(self._at):
            self._leave()  # what was used last before this is needed once more as well
        self._is_last_use = True

    def release(self) -> None:
        """Take the bound layer's weights away; nothing happens when none is bound."""
        self._leave()
        for unit in list(self._held):
            self._let_go(unit)
        self._at = None

    def take_back(self) -> None:
        """A pass failed half way: no layer stays, no gradient, and nothing that was read ahead."""
        for places in self._places.values():
            for place in places:
                place.own.grad = None
        self._missing.clear()
        self.end_descent()
        self.release()
        self._return_parcel()
        for unit, held in self._sent_ahead.items():
            self.store.release(unit, held.buffer)
        for unit, (weights, rest) in self._ahead.items():
            self.store.release(unit, self.store.wait(weights))
            if rest is not None:
                self.store.pool.give(self.store.wait(rest))
        self._sent_ahead.clear()
        self._ahead.clear()

    def end_descent(self) -> None:
        """No layer has gradients to come on this way down."""
        self._gradients = torch.empty(0)
        return_holes()

    def hand_over(self, unit: int) -> Buffer:
        """The buffer of a unit of the bound layer, to be changed and written by the caller."""
        if self._now == unit:
            self._leave()
        held = self._held.pop(unit)
        self._copied(held)
        if held.rest is not None:
            self.store.pool.give(held.rest)
        return held.buffer

    def give_back(self, unit: int) -> None:
        """A unit of the bound layer is not needed any more."""
        if self._now == unit:
            self._leave()
        self._let_go(unit)

    def expect_gradients(self) -> None:
        """A backward pass through the bound layer begins."""
        assert self._at is not None
        self._missing = {unit: len(self._places[unit]) for unit in self.units[self._at] if self._places[unit]}

    def check_gradients(self) -> None:
        """It has ended."""
        assert not self._missing, "a layer's matrix took no part in the loss"

    def take_gradients(self, unit: int) -> dict[str, torch.Tensor]:
        """Of a unit that was `learned`, by names in the model. They last until another unit comes."""
        found = {}
        for place in self._places[unit]:
            assert place.own.grad is not None
            found[place.tensor.name] = place.own.grad
            place.own.grad = None
        return found

    @contextlib.contextmanager
    def outlived(self) -> Iterator[Graph]:
        """Inside, the bound layer's graph keeps of its weights only where they lie: it outlives their being there.

        The layer must be bound again for its backward pass, to the same numbers.
        """
        graph = Graph()

        def pack(tensor: torch.Tensor) -> torch.Tensor | _Lying:
            storage = tensor.untyped_storage()
            if self._now is None or storage.data_ptr() != self._numbers.untyped_storage().data_ptr():
                graph.sizes[storage.data_ptr()] = storage.nbytes()
                return tensor.detach()  # what keeps its own outcome would keep itself, if no backward pass ever came
            assert tensor.dtype == self._numbers.dtype
            offset = tensor.storage_offset() - self._numbers.storage_offset()
            return _Lying(self._now, tensor.shape, tensor.stride(), offset)

        with torch.autograd.graph.saved_tensors_hooks(pack, self._lying), torch.enable_grad():
            yield graph

    def _lying(self, packed: torch.Tensor | _Lying) -> torch.Tensor:
        if isinstance(packed, torch.Tensor):
            return packed
        self._bring(packed.unit)
        numbers = self._numbers
        return numbers.as_strided(packed.size, packed.stride, numbers.storage_offset() + packed.offset)

    def run(self, at: int, hidden: torch.Tensor, call: Call) -> torch.Tensor:
        """A bound layer's own forward for one micro-batch."""
        positional, named = call.arguments[at]
        out = self._originals[at](hidden, *positional, **named)
        return out[0] if isinstance(out, tuple) else out

    def note(self, forward: Callable[[], object]) -> Call:
        """Run a model's forward as far as its layers, noting what they are given."""
        call = Call()

        def record(at: int, hidden: torch.Tensor, *positional: Any, **named: Any) -> Any:
            if at == 0:
                call.hidden = hidden
            call.arguments.append((positional, named))
            if at == len(self) - 1:
                raise Reached
            return (hidden,) if self._gives_tuple else hidden

        self._call = record
        try:
            forward()
        except Reached:
            return call
        finally:
            self._call = self._streamed
        raise AssertionError("the model did not run its layers")

    def finish(self, hidden: torch.Tensor, forward: Callable[[], Any]) -> Any:
        """What a model's forward makes of the last layer's output."""

        def skip(at: int, given: torch.Tensor, *_: Any, **__: Any) -> Any:
            out = hidden if at == len(self) - 1 else given
            return (out,) if self._gives_tuple else out

        self._call = skip
        try:
            return forward()
        finally:
            self._call = self._streamed

    def _forward(self, at: int) -> Callable[..., Any]:
        def forward(hidden_states: torch.Tensor, *positional: Any, **named: Any) -> Any:
            return self._call(at, hidden_states, *positional, **named)

        return forward

    def _streamed(self, at: int, hidden: torch.Tensor, *positional: Any, **named: Any) -> Any:
        self.bind(at, then=(at + 1) % len(self), wide=not torch.is_autocast_enabled(self._device.type))
        self.last_use()
        out = self._originals[at](hidden, *positional, **named)
        self._gives_tuple = isinstance(out, tuple)
        return out

    def _listen(self, unit: int, *, is_piece: bool) -> None:
        """For gradients, and for when a piece of a layer is wanted."""
        for place in self._places[unit]:
            place.own.register_post_accumulate_grad_hook(partial(self._came, unit))
            if is_piece:
                place.module.register_forward_pre_hook(partial(self._called, unit))
                if type(place.module) is nn.Linear and place.module.bias is None:
                    place.module.forward = self._multiply(unit, place, place.module.forward)

    def _multiply(self, unit: int, place: Place, plain: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """What a linear layer does: its gradient lies in memory of ours, where the weight lies if that is ours too."""

        def take() -> torch.Tensor:
            self._bring(unit)
            return place.own.data

        def lay() -> torch.Tensor:
            if self._numbers.data_ptr() == self._scratch.data_ptr():
                return place.own.data
            return self._gradient_memory()[place.tensor.start : place.tensor.end].view(place.tensor.shape)

        def give(gradient: torch.Tensor) -> None:
            self._is_spoilt = True
            place.own.grad = gradient
            self._came(unit, place.own)

        def multiply(given: torch.Tensor) -> torch.Tensor:
            is_ours = self._device.type == "cpu" and place.own.requires_grad
            if is_ours and given.requires_grad and torch.is_grad_enabled():
                out: torch.Tensor = Product.apply(given, take, lay, give)
                return out
            return plain(given)

        return multiply

    def _called(self, unit: int, module: nn.Module, given: object) -> None:
        if self._is_spoilt:
            self._leave()
        self._bring(unit)

    def _came(self, unit: int, parameter: torch.Tensor) -> None:
        self._missing[unit] -= 1
        if not self._missing[unit]:
            del self._missing[unit]
            self.learned(unit)

    def _bring(self, unit: int) -> None:
        """Put a unit of the bound layer into the model."""
        if self._now == unit:
            return
        before = self._now
        if before is not None and self._is_last_use:
            self.give_back(before)
        self._leave()
        held = self._held.get(unit)
        if held is None:
            held = self._held[unit] = self._sent_ahead.pop(unit) if unit in self._sent_ahead else self._read(unit)
        self._now, self._numbers = unit, self._values(held)
        for place in self._places[unit]:
            self._put(place, self._numbers)
        self._read_ahead()
        self._send_ahead()

    def _leave(self) -> None:
        """Take the unit that stands in the model out of it; it stays here."""
        for place in self._places[self._now] if self._now is not None else []:
            if self._is_spoilt and place.own.grad is not None:
                place.own.grad = place.own.grad.clone()  # others of the unit are still to come
            place.own.data = self._numbers.new_zeros(()).expand(place.tensor.shape)
            place.module._parameters[place.attribute] = place.empty
        self._now, self._numbers, self._is_spoilt = None, torch.empty(0), False

    def _let_go(self, unit: int) -> None:
        held = self._held.pop(unit)
        self._copied(held)
        self.store.release(unit, held.buffer)
        if held.rest is not None:
            self.store.pool.give(held.rest)

    def _read(self, unit: int) -> Held:
        self._begin(unit)
        weights, rest = self._ahead.pop(unit)
        return Held(self.store.wait(weights), None if rest is None else self.store.wait(rest))

    def _begin(self, unit: int) -> None:
        if unit in self._coming:
            self._coming.remove(unit)
        if unit not in self._ahead:
            rest = self.store.read_residuals(unit) if self._exact else None
            self._ahead[unit] = self.store.read_weights(unit), rest

    def _read_ahead(self) -> None:
        """As far as there is room: for a layer that comes in pieces, or for two that come whole."""
        known = {*self._held, *self._ahead, *self._sent_ahead}
        here = self.store.leaving_bytes() + sum(map(self._bytes, known))
        while self._coming:
            unit = self._coming[0]
            if unit in known or unit in self._ahead:
                self._coming.popleft()
                continue
            here += self._bytes(unit)
            if here > self._room:
                return
            self._begin(unit)

    def _bytes(self, unit: int) -> int:
        return self.store.layout.units[unit].weight_bytes * (2 if self._exact else 1)

    def _values(self, held: Held) -> torch.Tensor:
        """A unit's numbers as they are computed with. Made fp32, they lie where the next unit's will."""
        if held.there is not None:
            return held.there
        weights = self._payload(held.buffer)
        if self._courier is not None and not self._is_wide:
            held.parcel = held.parcel or self._courier.send(weights)
            return held.parcel.open()
        if self._exact:
            record = {}
            if held.rest is not None:
                part = self.store.layout.parts[0]
                record = {"r": held.rest.view(getattr(torch, part.dtype))[: len(weights)]}
            weights = self._scheme.master(held.buffer.view(torch.int16), record, self._take_scratch(len(weights)))
        if self._device.type != "cpu":
            held.there = self._sent(weights)
            return held.there
        return self._take_scratch(len(weights)).copy_(weights) if self._is_wide else weights

    def _put(self, place: Place, numbers: torch.Tensor) -> None:
        place.own.data = numbers[place.tensor.start : place.tensor.end].view(place.tensor.shape)
        place.module._parameters[place.attribute] = place.own

    def _sent(self, weights: torch.Tensor) -> torch.Tensor:
        """On the card; what becomes fp32 there goes a few numbers at a time, so that it is never there in both."""
        if not self._is_wide:
            return weights.to(self._device, non_blocking=True)
        there = torch.empty(len(weights), device=self._device)
        for wide, short in zip(there.split(HELD_NUMBERS), weights.split(HELD_NUMBERS), strict=True):
            wide.copy_(short.to(self._device))
        return there

    def _gradient_memory(self) -> torch.Tensor:
        """For those of one unit in 16 bits, whose weights are still wanted as they are: one after the other lies here.

        Kept, since a process gives large pieces back (see `heap.py`), and fresh ones cost a tenth of a step.
        """
        if not len(self._gradients):
            largest = max(self.store.layout.units[unit].numbers for units in self.units for unit in units)
            self._gradients = torch.empty(largest, dtype=torch.bfloat16)
        return self._gradients

    def _take_scratch(self, count: int) -> torch.Tensor:
        if len(self._scratch) < count:
            self._scratch = torch.empty(0)  # before there is a second one
            self._scratch = torch.empty(count)
        return self._scratch[:count]

    def _send_ahead(self) -> None:
        """What comes next is on its way to the card while this is computed with, if it is here; else room is made."""
        if self._courier is None or self._is_wide or self._sent_ahead:
            return
        unit = next(iter(self._ahead), None)
        if unit is None or self._bytes(unit) > SENT_AHEAD_BYTES:
            self._courier.close_room()
            return
        reading = self._ahead[unit][0]
        self._courier.make_room(self._payload(reading.buffer))
        if reading.is_done:
            del self._ahead[unit]
            held = self._sent_ahead[unit] = Held(self.store.wait(reading), None)
            held.parcel = self._courier.send(self._payload(held.buffer))

    def _return_parcel(self) -> None:
        """What was sent ahead is wanted in another form; of what was read nothing is lost."""
        for held in self._sent_ahead.values():
            self._copied(held)
        if self._courier is not None:
            self._courier.close_room()

    def _copied(self, held: Held) -> None:
        """Wait until a card has taken what lies in a buffer, before anybody writes into it."""
        if held.parcel is not None:
            held.parcel.drop()
            held.parcel = None

    def _payload(self, buffer: Buffer) -> torch.Tensor:
        """A unit as it is sent to a card."""
        return buffer.view(torch.bfloat16)

    def _all_places(self, at: int) -> Iterator[Place]:
        return (place for unit in self.units[at] for place in self._places[unit])


def are_products(module: nn.Module) -> bool:
    """Whether all matrices of a layer are used by calling linear modules, so that each may come by itself."""
    owners = [part for part in module.modules() if any(p.ndim > 1 for p in part.parameters(recurse=False))]
    return all(isinstance(owner, (nn.Linear, Conv1D)) for owner in owners)


def _place(module: nn.Module, prefix: str, tensor: StoredTensor, device: torch.device) -> Place:
    path, _, attribute = tensor.name.removeprefix(prefix + ".").rpartition(".")
    owner = module.get_submodule(path)
    empty = owner._parameters[attribute]
    assert empty is not None
    own = nn.Parameter(torch.zeros((), device=device).expand(tensor.shape))
    return Place(owner, attribute, empty, own, tensor)


def _nothing(unit: int) -> None:
    """Nobody learns."""


def takes_hidden_first(module: nn.Module) -> bool:
    """Whether a layer's forward is given hidden states before anything else, as all decoders of transformers do."""
    names = list(inspect.signature(module.forward).parameters)
    return bool(names) and names[0] in ("hidden_states", "x", "input")
