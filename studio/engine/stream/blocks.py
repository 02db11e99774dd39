"""A model's decoder layers without weights of their own: they are bound to what has just been read, and let go again.

The layers' modules stay as transformers made them (each knows its number, its window, its kind of attention); only
their matrices come and go. Called outside training they stream by themselves, so that evaluation and answers work.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from studio.engine.stream.buffers import Buffer
from studio.engine.stream.heap import return_holes
from studio.engine.stream.schemes import Scheme
from studio.engine.stream.store import Store
from studio.engine.stream.traffic import Reading
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
    """Part of a layer's weights that a graph wants again: where it lies among them."""

    at: int
    size: torch.Size
    stride: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class Place:
    """A matrix's place in the model and in its unit. `empty` stands there while nothing is bound."""

    module: nn.Module
    attribute: str
    empty: nn.Parameter
    tensor: StoredTensor


class Blocks:
    """The streamed layers; layer `n` is unit `n` of the store.

    Args:
        modules: decoder layers, their matrices without memory.
        prefixes: the name of each layer in the model.
        exact: whether arithmetic is fp32, so that residuals are read as well.
        widens: whether bf16 weights become fp32 where nothing casts for them.
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
        self.modules, self.store = modules, store
        self._scheme, self._exact, self._device, self._widens = scheme, exact, device, widens
        self._places = [
            [_place(module, prefix, tensor) for tensor in unit.tensors]
            for module, prefix, unit in zip(modules, prefixes, store.layout.units, strict=False)
        ]
        self._originals = [module.forward for module in modules]
        self._ahead: dict[int, tuple[Reading, Reading | None]] = {}
        self._bound: tuple[int, Buffer] | None = None
        self._weights = torch.empty(0)  # the bound layer's, as they are computed with
        self._graphs: dict[int, list[nn.Parameter]] = {}
        self._copy: torch.cuda.Event | None = None
        self._is_wide = False
        self._wide = torch.empty(0, device=device)  # kept from layer to layer: fresh memory costs as much as the copy
        self._gives_tuple = False
        self._call: Callable[..., Any] = self._streamed
        for at, module in enumerate(modules):
            module.forward = self._forward(at)

    def __len__(self) -> int:
        return len(self.modules)

    def parameters(self, at: int) -> dict[str, torch.Tensor]:
        """A bound layer's matrices by their names in the model."""
        return {p.tensor.name: p.module._parameters[p.attribute] for p in self._places[at]}

    def prefetch(self, at: int) -> None:
        """Begin to read a layer, if there is such a one."""
        is_here = self._bound is not None and self._bound[0] == at
        if 0 <= at < len(self) and at not in self._ahead and not is_here:
            rest = self.store.read_residuals(at) if self._exact else None
            self._ahead[at] = self.store.read_weights(at), rest

    def bind(self, at: int, *, then: int, train: bool = False, wide: bool = False) -> None:
        """Give a layer its weights, and begin to read the one that is needed after it.

        Args:
            train: whether they get gradients.
            wide: bf16 weights as fp32, for a forward pass that is not under autocast.
        """
        wide = wide and self._widens and not self._exact
        if self._bound is None or self._bound[0] != at or self._is_wide != wide:
            self.release()
            return_holes()
            self._is_wide = wide
            if not wide:  # the proofs before training want it once
                self._wide = torch.empty(0, device=self._device)
            self.prefetch(at)
            weights, rest = self._ahead.pop(at)
            self.prefetch(then)
            buffer = self.store.wait(weights)
            self._fill(at, buffer, rest)
            self._bound = at, buffer
        else:
            self.prefetch(then)
        for place in self._places[at]:
            parameter = place.module._parameters[place.attribute]
            assert parameter is not None
            parameter.requires_grad_(train)
            parameter.grad = None

    def release(self) -> None:
        """Take the bound layer's weights away; nothing happens when none is bound."""
        if self._bound is not None:
            at, buffer = self._bound
            self._empty(at)
            self._copied()
            self.store.release(at, buffer)
            self._bound = None

    def hand_over(self) -> Buffer:
        """The bound layer's buffer, to be changed and written by the caller."""
        assert self._bound is not None
        at, buffer = self._bound
        self._empty(at)
        self._copied()
        self._bound = None
        return buffer

    @contextlib.contextmanager
    def outlived(self, at: int) -> Iterator[Graph]:
        """Inside, a bound layer's graph keeps of its weights only where they lie: it outlives their being bound.

        They must be bound again for its backward pass, to the same numbers; their gradients come to the parameters
        that are bound then.
        """
        graph = Graph()
        self._graphs[at] = [_bound(place) for place in self._places[at]]

        def pack(tensor: torch.Tensor) -> torch.Tensor | _Lying:
            storage = tensor.untyped_storage()
            if storage.data_ptr() != self._weights.untyped_storage().data_ptr():
                graph.sizes[storage.data_ptr()] = storage.nbytes()
                return tensor
            assert tensor.dtype == self._weights.dtype
            offset = tensor.storage_offset() - self._weights.storage_offset()
            return _Lying(at, tensor.shape, tensor.stride(), offset)

        with torch.autograd.graph.saved_tensors_hooks(pack, self._lying), torch.enable_grad():
            yield graph

    def forget(self, at: int) -> None:
        """A layer's graph is of no more use."""
        self._graphs.pop(at, None)

    def _lying(self, packed: torch.Tensor | _Lying) -> torch.Tensor:
        if isinstance(packed, torch.Tensor):
            return packed
        assert self._bound is not None and self._bound[0] == packed.at, "another layer is bound than the graph's"
        weights = self._weights
        return weights.as_strided(packed.size, packed.stride, weights.storage_offset() + packed.offset)

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
        out = self._originals[at](hidden, *positional, **named)
        self._gives_tuple = isinstance(out, tuple)
        return out

    def _fill(self, at: int, buffer: Buffer, rest: Reading | None) -> None:
        make = self._maker(buffer, rest)
        if self._device.type == "cuda":
            self._copy = torch.cuda.Event()
            self._copy.record()
        kept = self._graphs.get(at)
        for number, place in enumerate(self._places[at]):
            parameter = make(place)
            if kept is not None:  # a graph's gradients come to these
                kept[number].data = parameter.data
                parameter = kept[number]
            place.module._parameters[place.attribute] = parameter

    def _maker(self, buffer: Buffer, rest: Reading | None) -> Callable[[Place], nn.Parameter]:
        """What makes a layer's parameters of what was read."""
        weights = buffer.view(torch.bfloat16)
        if self._exact:
            bits = buffer.view(torch.int16)
            if rest is not None:
                kept = self.store.wait(rest)
                part = self.store.layout.parts[0]
                record = {"r": kept.view(getattr(torch, part.dtype))[: len(bits)]}
                weights = self._scheme.master(bits, record)
                self.store.pool.give(kept)
            else:
                weights = self._scheme.master(bits, {})
        weights = weights.to(self._device, non_blocking=True)
        weights = self._weights = self._widened(weights) if self._is_wide else weights

        def make(place: Place) -> nn.Parameter:
            values = weights[place.tensor.start : place.tensor.end].view(place.tensor.shape)
            return nn.Parameter(values, requires_grad=False)

        return make

    def _widened(self, weights: torch.Tensor) -> torch.Tensor:
        if len(self._wide) < len(weights):
            self._wide = torch.empty(len(weights), device=self._device)
        return self._wide[: len(weights)].copy_(weights)

    def _copied(self) -> None:
        """Wait until a card has taken what lies in a buffer, before anybody writes into it."""
        if self._copy is not None:
            self._copy.synchronize()
            self._copy = None

    def _empty(self, at: int) -> None:
        for place in self._places[at]:
            if at in self._graphs:
                _bound(place).data = torch.empty(0, dtype=self._weights.dtype, device=self._device)
            place.module._parameters[place.attribute] = place.empty
        self._weights = torch.empty(0)


def _bound(place: Place) -> nn.Parameter:
    parameter = place.module._parameters[place.attribute]
    assert parameter is not None
    return parameter


def _place(module: nn.Module, prefix: str, tensor: StoredTensor) -> Place:
    path, _, attribute = tensor.name.removeprefix(prefix + ".").rpartition(".")
    owner = module.get_submodule(path)
    empty = owner._parameters[attribute]
    assert empty is not None
    return Place(owner, attribute, empty, tensor)


def takes_hidden_first(module: nn.Module) -> bool:
    """Whether a layer's forward is given hidden states before anything else, as all decoders of transformers do."""
    names = list(inspect.signature(module.forward).parameters)
    return bool(names) and names[0] in ("hidden_states", "x", "input")
