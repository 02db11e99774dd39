"""What a session of a run is busy with, as a list that ticks itself off."""

from __future__ import annotations

from dataclasses import dataclass

from studio.protocol import events

_TRAINING_UNIT = "steps"
# What every session goes through; what it does besides (a download, tokenising) comes in between as it happens.
_USUAL = ("Reading rows", "Loading the model", "Training")


@dataclass
class PhaseRow:
    """One thing to do. `started` and `ended` are Unix seconds, 0 while it has not."""

    name: str
    done: float = 0
    total: float = 0
    unit: str = ""
    started: float = 0.0
    ended: float = 0.0


class Phases:
    """The phases of one session, in order; the usual ones are listed before they begin."""

    def __init__(self) -> None:
        self._seen: list[PhaseRow] = []

    @property
    def current(self) -> PhaseRow | None:
        """What is being done now."""
        return self._seen[-1] if self._seen and not self._seen[-1].ended else None

    @property
    def is_training(self) -> bool:
        """Whether the session has got as far as taking steps."""
        return any(row.unit == _TRAINING_UNIT for row in self._seen)

    def rows(self) -> list[PhaseRow]:
        """Done, under way, and to come."""
        names = {row.name for row in self._seen}
        last = max((at for at, name in enumerate(_USUAL) if name in names), default=-1)
        return [*self._seen, *(PhaseRow(name) for name in _USUAL[last + 1 :])]

    def take(self, event: events.Phase) -> None:
        """Note what is being done now; a phase of another name ends the one before."""
        if self._seen and self._seen[-1].name == event.name:
            row = self._seen[-1]
            row.done, row.total, row.unit = event.done, event.total or row.total, event.unit or row.unit
            return
        self.close(event.time)
        self._seen.append(PhaseRow(event.name, event.done, event.total, event.unit, started=event.time))

    def close(self, time: float) -> None:
        """The current phase ends."""
        if self._seen and not self._seen[-1].ended:
            self._seen[-1].ended = time
