"""Training methods: what is trained and how it is made ready. One file a method; it then appears everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.declare import Settings
from studio.errors import Problem
from studio.models.facts import ModelFacts
from studio.units import Registry

if TYPE_CHECKING:
    from studio.engine.prepared import Base, Prepared


class MethodParams(Settings):
    """Base of every method's settings. `key` names the method."""

    key: str = ""


@dataclass(frozen=True)
class Method:
    """A training method.

    Attributes:
        key: the file's name and `method.key` in a project.
        title, summary: for people: its name, and what it trains and costs in one sentence.
        good_for, avoid_when: one sentence each, for the method's card.
        Params: its settings.
        learning_rate: what to start with when the person names none.
        problems: what in these settings cannot work with this model (facts are None while they are not known).
        prepare: makes a loaded base model ready to train; imports the engine inside.
        quantises_base: whether the base is loaded in 4 bits (the loader asks).
    """

    key: str
    title: str
    summary: str
    good_for: str
    avoid_when: str
    Params: type[MethodParams]
    learning_rate: float
    problems: Callable[[Any, ModelFacts | None], list[Problem]]
    prepare: Callable[[Base, Any], Prepared]
    quantises_base: bool = False


METHODS: Registry[Method] = Registry("studio.methods", "METHOD", "training method")
