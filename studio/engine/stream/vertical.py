"""One step through layers that pass one at a time: up without a graph, through the loss, and down layer by layer.

Vertical: all micro-batches go through a layer before the next one is read (GreedySnake, arXiv 2512.17570), so that
accumulation reads weights once. The way up keeps each layer's inputs and no graph; the way down reads the layers
again from the last one and computes each anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from studio.engine.stream.blocks import Blocks, Call
from studio.engine.stream.chance import Chance
from studio.engine.stream.tiled import TiledEmbedding, TiledHead

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows


@dataclass
class Pass:
    """One step under way: each micro-batch's call, its layer inputs, and the gradient that travels down.

    `starts`: what chance was at the beginning of each, since its way through the loss begins at the embedding again.
    """

    starts: list[Chance]
    calls: list[Call]
    inputs: list[list[torch.Tensor]] = field(default_factory=list)
    chances: list[list[Chance]] = field(default_factory=list)
    travelling: list[torch.Tensor] = field(default_factory=list)


MEASURED_TOKENS = 16_384
"""Of held-out rows that go up together: their hidden states take 64 kB a token at most in the models there are."""


class Vertical:
    """The way up and down.

    Args:
        blocks: the layers.
        embedding, head: where they are tiled.
        device: where it computes.
    """

    def __init__(
        self, blocks: Blocks, embedding: TiledEmbedding | None, head: TiledHead | None, device: torch.device
    ) -> None:
        self._blocks, self._embedding, self._head, self._device = blocks, embedding, head, device

    def climb(self, loop: Loop, rows: list[Rows]) -> Pass:
        """Forward without graph, keeping what each layer was given."""
        blocks = self._blocks
        under_way = Pass([], [])
        for row in rows:
            under_way.starts.append(Chance(self._device))
            under_way.calls.append(blocks.note(partial(_forward, loop, row)))
        hidden = [call.hidden.detach() for call in under_way.calls]
        with torch.no_grad():
            for at in range(len(blocks)):
                blocks.bind(at, then=at + 1)
                under_way.inputs.append(list(hidden))
                under_way.chances.append([Chance(self._device) for _ in hidden])
                for number, call in enumerate(under_way.calls):
                    with loop.accelerator.autocast():
                        hidden[number] = blocks.run(at, hidden[number], call)
        under_way.inputs.append(hidden)
        return under_way

    @torch.no_grad()
    def measure(self, loop: Loop, rows: list[Rows]) -> float:
        """Summed loss of micro-batches that go up together: the model is read once for all of them."""
        blocks = self._blocks
        calls = [blocks.note(partial(_forward, loop, row)) for row in rows]
        hidden = [call.hidden for call in calls]
        for at in range(len(blocks)):
            blocks.bind(at, then=(at + 1) % len(blocks))
            for number, call in enumerate(calls):
                with loop.accelerator.autocast():
                    hidden[number] = blocks.run(at, hidden[number], call)
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
        total, outs = torch.zeros((), device=self._device), under_way.inputs.pop()
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
        self, loop: Loop, under_way: Pass, at: int, *, then: int, train: bool, each: Callable[[], None]
    ) -> None:
        """Backward through one layer for all micro-batches.

        Args:
            then: the layer that is needed next.
            train: whether its own matrices get gradients.
            each: called after each micro-batch.
        """
        self._blocks.bind(at, then=then, train=train)
        inputs, chances = under_way.inputs.pop(), under_way.chances.pop()
        for number, call in enumerate(under_way.calls):
            leaf = inputs[number].detach().requires_grad_(True)
            with chances[number].again(), loop.accelerator.autocast():
                out = self._blocks.run(at, leaf, call)
            out.backward(under_way.travelling[number])
            assert leaf.grad is not None
            under_way.travelling[number] = leaf.grad
            each()

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
