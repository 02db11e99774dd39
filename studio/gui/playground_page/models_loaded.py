"""Which models the two sides load: the chosen source and moment, and the base beside it. No widgets here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from studio.gui.context import Context
from studio.gui.naming import model_name
from studio.gui.playground_page.chat import BASE, TUNED, Chat
from studio.gui.sources import Source, Stop, base_arguments

_ABSENT = "is not on this computer yet. Loading it downloads it."


@dataclass
class Models:
    """What is chosen.

    Attributes:
        sources: all there is to choose from.
        source: the chosen one, None while nothing is tuned.
        stop: the chosen moment of a run.
        with_base: whether the base answers too.
    """

    context: Context
    chat: Chat
    sources: list[Source] = field(default_factory=list)
    source: Source | None = None
    stop: Stop | None = None
    with_base: bool = True

    def choose(self, source: Source | None, stop: Stop | None = None) -> None:
        """Choose a source, and its last moment where none is given."""
        self.source = source
        self.stop = stop or (source.stops[-1] if source is not None and source.stops else None)

    def update(self, sources: list[Source]) -> None:
        """Other sources than before; what was chosen stays where it is still there."""
        outside = [self.source] if self.source is not None and not self._is_listed(sources) else []
        self.sources = [*sources, *outside]
        before = self.source
        found = next((source for source in self.sources if before is not None and source.key == before.key), None)
        if found is None:
            self.choose(self.sources[0] if self.sources else None)
            return
        kept = next((stop for stop in found.stops if self.stop is not None and stop.step == self.stop.step), None)
        self.choose(found, kept)

    @property
    def asks_base(self) -> bool:
        """Whether the base answers: it is wanted, or there is nothing else."""
        return self.with_base or self.source is None

    def load(self) -> None:
        """Load what is chosen and not loaded yet; end what is not wanted."""
        self.load_base()
        self.load_tuned()

    def load_base(self, *, may_download: bool = False) -> None:
        """Load the base, or end it. What is not on this computer is fetched only when that was asked for."""
        session, spec = self.context.session, self.context.session.placed_spec
        if not self.asks_base or spec is None:
            self.chat.sides[BASE].unload()
            return
        is_of_run = self.source is not None and self.source.is_run
        if not is_of_run and session.facts is None and not may_download:
            self.chat.sides[BASE].hold("Not loaded", session.facts_problem or f"{self.base_name} {_ABSENT}")
            return
        self.chat.labels[BASE] = self.base_name
        self.chat.sides[BASE].load({**base_arguments(spec, self.source), **self._device()})

    def load_tuned(self) -> None:
        """Load the tuned model at the chosen moment, or end it."""
        if self.source is None:
            self.chat.sides[TUNED].unload()
            return
        step = {"checkpoint": self.stop.step} if self.stop is not None and self.stop.step is not None else {}
        self.chat.labels[TUNED] = ", ".join(filter(None, (self.source.title, self.stop.title if self.stop else "")))
        self.chat.sides[TUNED].load({**self.source.arguments, **step, **self._device()})

    def unload(self) -> None:
        """End both, and free what they hold."""
        for side in self.chat.sides.values():
            side.unload()

    @property
    def base_name(self) -> str:
        """What the untuned model is called."""
        spec = self.context.session.spec
        return model_name(spec.model.source) if spec is not None else ""

    @property
    def num_bytes(self) -> int:
        """What both hold in memory, by their weights."""
        return sum(side.num_bytes for side in self.chat.sides.values() if side.is_loaded)

    @property
    def spares_card(self) -> bool:
        """Whether chat keeps off the card because a run trains on it."""
        live, resources = self.context.session.live, self.context.machine.resources
        is_training = live is not None and not live.has_ended
        return is_training and resources is not None and bool(resources.gpus)

    def _device(self) -> dict[str, Any]:
        return {"device": "cpu"} if self.spares_card else {}

    def _is_listed(self, sources: list[Source]) -> bool:
        # A file that was dropped in from elsewhere is not in the project's list.
        assert self.source is not None
        return self.source.is_run or any(source.key == self.source.key for source in sources)
