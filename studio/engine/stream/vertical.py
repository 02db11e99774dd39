"""One step through layers that pass one at a time: up without a graph, through the loss, and down layer by layer.

Vertical: all micro-batches go through a layer before the next one is read (GreedySnake, arXiv 2512.17570), so that
accumulation reads weights once. The way up keeps each layer's inputs and no graph; the way down reads the layers
again from the last one and computes each anew, but for those whose graph there was room to keep.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from studio.engine.stream.blocks import Blocks, Call, Graph
from studio.engine.stream.chance import Chance
from studio.engine.stream.inputs import Inputs
from studio.engine.stream.tiled import TiledEmbedding, TiledHead

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows


@dataclass
class Pass:
    """One step under way, by micro-batch.

    Attributes:
        rows: what is read.
        starts: what chance was at the beginning, since the way through the loss begins at the embedding again.
        calls: of the layers.
        outs: of the last layer.
        graphs: of layers that are not computed anew, their input and output with the graph between.
        chances: before each of the others.
        travelling: the gradient on its way down.
    """

    rows: list[Rows]
    starts: list[Chance] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    outs: list[torch.Tensor] = field(default_factory=list)
    graphs: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = field(default_factory=dict)
    chances: dict[int, list[Chance]] = field(default_factory=dict)
    travelling: list[torch.Tensor] = field(default_factory=list)


MEASURED_TOKENS = 16_384
"""Of held-out rows that go up together: their hidden states take 64 kB a token at most in the models there are."""


class Vertical:
    """The way up and down.

    Args:
        blocks: the layers.
        embedding, head: where they are tiled.
        device: where it computes.
        inputs: where those of the layers wait.
        room: bytes that graphs may take now.
    """

    def __init__(
        self,
        blocks: Blocks,
        embedding: TiledEmbedding | None,
        head: TiledHead | None,
        device: torch.device,
        inputs: Inputs,
        room: Callable[[], int],
    ) -> None:
        self._blocks, self._embedding, self._head, self._device = blocks, embedding, head, device
        self._inputs, self._room = inputs, room
        self._graph_share = 0.0  # bytes of a layer's graph for each of its input; 0 until one was seen
        self._graphs: dict[int, int] = {}

    @property
    def graph_bytes(self) -> int:
        """That kept graphs take now."""
        return sum(self._graphs.values())

    def climb(self, loop: Loop, rows: list[Rows], learning: Collection[int] = (), lowest: int = 0) -> Pass:
        """Forward, keeping what each layer was given, and the graph of the last layers as far as there is room.

        Args:
            learning: layers whose own matrices get gradients.
            lowest: the layer where the way down ends.
        """
        blocks, under_way = self._blocks, Pass(rows)
        self._graphs.clear()
        self._inputs.clear()
        for row in rows:
            under_way.starts.append(Chance(self._device))
            under_way.calls.append(blocks.note(partial(_forward, loop, row)))
        hidden = [call.hidden.detach() for call in under_way.calls]
        first_kept = max(lowest, len(blocks) - self._kept_graphs(hidden))
        with torch.no_grad():
            for at in range(len(blocks)):
                self.bind(loop, at, then=at + 1, train=at >= first_kept and at in learning)
                if at >= first_kept:
                    hidden = self._keep(loop, under_way, at, hidden)
                    continue
                if at >= lowest:
                    self._inputs.put(at, hidden)
                under_way.chances[at] = []
                for number in range(len(rows)):
                    self._use_up(number, rows, at)
                    under_way.chances[at].append(Chance(self._device))
                    hidden[number] = self._run(loop, under_way, at, number, hidden[number])
        under_way.outs = hidden
        return under_way

    def _kept_graphs(self, hidden: list[torch.Tensor]) -> int:
        """Of so many layers, as far as one of them has shown what they take; each micro-batch's counts."""
        each = self._graph_share * sum(tensor.nbytes for tensor in hidden)
        return min(len(self._blocks), int(self._room() / each)) if each else 0

    def _keep(self, loop: Loop, under_way: Pass, at: int, hidden: list[torch.Tensor]) -> list[torch.Tensor]:
        """The way up through a layer with its graph."""
        given = [tensor.detach().requires_grad_(True) for tensor in hidden]
        outs = []
        with self._blocks.outlived() as graph:
            for number, leaf in enumerate(given):
                self._use_up(number, given, at)
                outs.append(self._run(loop, under_way, at, number, leaf))
        under_way.graphs[at] = list(zip(given, outs, strict=True))
        self._graphs[at] = self._size(graph, given)
        return [out.detach() for out in outs]

    def _size(self, graph: Graph, given: list[torch.Tensor]) -> int:
        """Bytes of a graph. The largest share seen counts: attention without a fused kernel keeps more of long rows."""
        size = sum(graph.sizes.values())
        self._graph_share = max(self._graph_share, size / sum(leaf.nbytes for leaf in given))
        return size

    def _anew(self, loop: Loop, under_way: Pass, at: int, number: int, leaf: torch.Tensor) -> torch.Tensor:
        """A layer's output with its graph; an early one shows what graphs take (the last layer's may take less)."""
        shows = at < len(self._blocks) - 1 and not self._graph_share and self._room() > 0
        if not (shows or self._blocks.comes_in_pieces(at)):
            return self._run(loop, under_way, at, number, leaf)
        with self._blocks.outlived() as graph:
            out = self._run(loop, under_way, at, number, leaf)
        if shows:
            self._size(graph, [leaf])
        return out

    def _run(self, loop: Loop, under_way: Pass, at: int, number: int, hidden: torch.Tensor) -> torch.Tensor:
        """One micro-batch's way up through a layer; of the last one only trained positions are read."""
        row, is_last = under_way.rows[number], at == len(self._blocks) - 1
        reading = loop.plan.loss.reading(row.index, hidden.shape[1]) if is_last else contextlib.nullcontext()
        with reading, loop.accelerator.autocast():
            return self._blocks.run(at, hidden, under_way.calls[number])

    @torch.no_grad()
    def measure(self, loop: Loop, rows: list[Rows]) -> float:
        """Summed loss of micro-batches that go up together: the model is read once for all of them."""
        blocks, under_way = self._blocks, Pass(rows)
        under_way.calls = [blocks.note(partial(_forward, loop, row)) for row in rows]
        hidden = [call.hidden for call in under_way.calls]
        for at in range(len(blocks)):
            self.bind(loop, at, then=(at + 1) % len(blocks), train=False)
            for number in range(len(rows)):
                if number == len(rows) - 1:
                    blocks.last_use()
                hidden[number] = self._run(loop, under_way, at, number, hidden[number])
        self._score_together(loop, rows, hidden)
        total = 0.0
        for row, out in zip(rows, hidden, strict=True):
            with self._idle_embedding():
                _, nll = blocks.finish(out, partial(_forward, loop, row))
            total += float(nll)
        return total

    def turn(self, loop: Loop, rows: list[Rows], under_way: Pass, scale: float) -> torch.Tensor:
        """Through what follows the layers, and back to their output; the sum of the tokens' losses.

        Args:
            scale: of the sum that gradients are of.
        """
        total, outs = torch.zeros((), device=self._device), under_way.outs
        under_way.outs = []
        with under_way.starts[0].again():
            self._score_together(loop, rows, outs)
        for row, out, start in zip(rows, outs, under_way.starts, strict=True):
            leaf = out.requires_grad_(True)
            with start.again(), self._idle_embedding():
                loss, nll = self._blocks.finish(leaf, partial(_forward, loop, row))
            loop.accelerator.backward(loss * scale)
            assert leaf.grad is not None
            under_way.travelling.append(leaf.grad)
            total += nll
        return total

    def descend(
        self,
        loop: Loop,
        under_way: Pass,
        at: int,
        *,
        then: int,
        learned: Callable[..., None] | None = None,
        again: bool = False,
    ) -> None:
        """Backward through one layer for all micro-batches.

        Args:
            then: the layer that is needed next.
            learned: told of each unit of the layer as its gradients of a micro-batch are complete, with the micro-batch
                and how many there are; None where its own matrices get none.
            again: whether the way down leads through it once more.
        """
        self.bind(loop, at, then=then, train=learned is not None)
        graphs, count = under_way.graphs.get(at, []), len(under_way.rows)
        inputs = [] if graphs else self._inputs.take(at, then=then, again=again)
        for number in range(count):
            if graphs:
                leaf, out = graphs[number]
                if not again:
                    graphs[number] = leaf, leaf  # its graph goes with its use
            else:
                leaf = inputs[number].detach().requires_grad_(True)
                with under_way.chances[at][number].again():
                    out = self._anew(loop, under_way, at, number, leaf)
            if learned is not None:
                self._blocks.learned = partial(learned, number=number, count=count)
                self._blocks.expect_gradients()
            elif number == count - 1:
                self._blocks.last_use()
            out.backward(under_way.travelling[number], retain_graph=again and bool(graphs))
            self._blocks.check_gradients()
            assert leaf.grad is not None
            under_way.travelling[number], leaf.grad = leaf.grad, None
            del out
        if not again:
            under_way.graphs.pop(at, None)
            self._graphs.pop(at, None)

    def take_back(self) -> None:
        """A pass failed half way: nothing of it is kept."""
        self._graphs.clear()
        self._inputs.clear()
        self._blocks.take_back()
        if self._head is not None:
            self._head.take_back()
        for tiled in (self._embedding, self._head):
            if tiled is not None:
                tiled.end.forget()

    def give_way(self) -> str:
        """Layer inputs wait in RAM, if they do not yet; what was done."""
        done = "Layer inputs now wait in RAM, not on the card; the result stays the same"
        return done if self._inputs.leave() else ""

    def close(self) -> None:
        """Nothing is kept any more."""
        self._inputs.close()

    def bind(self, loop: Loop, at: int, *, then: int, train: bool) -> None:
        """A layer, in the width that the loop's arithmetic wants."""
        self._blocks.bind(at, then=then, train=train, wide=_is_wide(loop))

    def _use_up(self, number: int, rows: list[Any], at: int) -> None:
        """On the way up the last micro-batch uses each matrix up, but for those of the layer that is first down."""
        if number == len(rows) - 1 and at < len(self._blocks) - 1:
            self._blocks.last_use()

    def _score_together(self, loop: Loop, rows: list[Rows], outs: list[torch.Tensor]) -> None:
        """Have a tiled head's losses ready for all micro-batches after one reading."""
        if self._head is None or len(rows) < 2:
            return
        ends = [
            partial(self._blocks.finish, out, partial(_forward, loop, row)) for row, out in zip(rows, outs, strict=True)
        ]
        with self._idle_embedding():
            self._head.score_together(ends)

    @contextlib.contextmanager
    def _idle_embedding(self) -> Iterator[None]:
        """Inside, a forward pass is only wanted for its end, so nothing is looked up."""
        if self._embedding is None:
            yield
            return
        self._embedding.is_idle = True
        try:
            yield
        finally:
            self._embedding.is_idle = False


def _forward(loop: Loop, row: Rows) -> Any:
    return loop.module(row.input_ids, row.position_ids, row.index, row.targets, row.row_lengths)


def _is_wide(loop: Loop) -> bool:
    return loop.accelerator.mixed_precision == "no"
