"""Ways to choose which blocks of a model are trained next. Small objects with a memory; no weights change here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from studio.engine.loop import Loop
    from studio.engine.rows import Rows


class Chooser:
    """Chooses blocks. All processes must come to the same choice, so draws come from the generator they are given.

    Attributes:
        share: of the blocks that are trained at a time, where the others are to have their turn later; else 0.
    """

    share = 0.0

    def begin(self, loop: Loop) -> None:
        """Called once before the first step of a run or a resumed one, and before `load_state`."""

    def observe(self, number: int, rows: list[Rows], generator: torch.Generator) -> None:
        """Called before every step, before `choose`."""

    def choose(self, generator: torch.Generator) -> list[int]:
        """Numbers of the blocks to train now, in order."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave."""


class Fixed(Chooser):
    """The same blocks for ever."""

    def __init__(self, blocks: Sequence[int]) -> None:
        self._blocks = sorted(blocks)

    def choose(self, generator: torch.Generator) -> list[int]:
        """Always the same."""
        return self._blocks


class Draw(Chooser):
    """So many of all blocks, drawn without putting back; every block has the same odds unless `weights` says more."""

    def __init__(self, count: int, total: int) -> None:
        self._count = min(count, total)
        self.share = self._count / total
        self.weights = torch.ones(total)

    def choose(self, generator: torch.Generator) -> list[int]:
        """A new draw. A floor under the odds sees to it that no block is left out for ever."""
        if self._count == len(self.weights):
            return list(range(self._count))
        odds = self.weights / self.weights.sum().clamp_min(1e-12)
        floor = 0.1 / len(odds)
        return sorted(torch.multinomial(odds.clamp_min(floor), self._count, generator=generator).tolist())

    def state(self) -> dict[str, Any]:
        """The odds."""
        return {"weights": self.weights}

    def load_state(self, state: dict[str, Any]) -> None:
        """The odds."""
        self.weights = state["weights"]


class Cycle(Chooser):
    """One block after the other; when all have had their turn, the next round begins.

    Args:
        total: how many blocks.
        order: "ascending", "descending" or "random" (each round in an order of its own).
    """

    def __init__(self, total: int, order: str) -> None:
        self._total, self._order = total, order
        self.share = 1 / total
        self._queue: list[int] = []

    def choose(self, generator: torch.Generator) -> list[int]:
        """The next block."""
        if not self._queue:
            self._queue = self._round(generator)
        return [self._queue.pop(0)]

    def state(self) -> dict[str, Any]:
        """Who is still to come in this round."""
        return {"queue": self._queue}

    def load_state(self, state: dict[str, Any]) -> None:
        """Who is still to come in this round."""
        self._queue = list(state["queue"])

    def _round(self, generator: torch.Generator) -> list[int]:
        if self._order == "random":
            return torch.randperm(self._total, generator=generator).tolist()
        blocks = list(range(self._total))
        return blocks if self._order == "ascending" else blocks[::-1]


class Halves(Chooser):
    """A share of each group of blocks, drawn anew each time.

    Args:
        groups: numbers of the blocks of each group.
        share: of each group, above 0; a fraction is settled by the draw.
    """

    def __init__(self, groups: list[list[int]], share: float) -> None:
        self._groups, self._share = groups, share

    def choose(self, generator: torch.Generator) -> list[int]:
        """A new draw."""
        chosen: list[int] = []
        for group in self._groups:
            wanted = self._share * len(group)
            count = int(wanted) + int(torch.rand((), generator=generator).item() < wanted - int(wanted))
            order = torch.randperm(len(group), generator=generator).tolist()
            chosen += [group[at] for at in order[:count]]
        if not chosen:  # a small share of small groups may come to nothing, and something must be trained
            every = [at for group in self._groups for at in group]
            chosen = [every[int(torch.randint(len(every), (), generator=generator))]]
        return sorted(chosen)
