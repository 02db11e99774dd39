"""Events and commands survive the wire, and their names do not change."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from studio.protocol import commands, events

EVENTS: list[type[events.Event]] = list(get_args(get_args(events.AnyEvent)[0]))
_RESULTS = st.builds(events.Result, value=st.dictionaries(st.text(), st.integers() | st.lists(st.text())))
COMMANDS: list[type[commands.Command]] = list(get_args(get_args(commands.AnyCommand)[0]))

# DESIGN.md section 5.
STABLE = {
    "hello": set(),
    "phase": {"name", "done", "total", "unit"},
    "step": {"step", "loss", "learning_rate", "grad_norm", "tokens", "trained_tokens", "seconds"},
    "memory": {"gpu", "ram", "disk"},
    "eval": {"step", "loss"},
    "sample": {"step", "prompt", "text"},
    "checkpoint": {"step", "path"},
    "notice": {"severity", "text", "hint"},
    "done": {"reason"},
    "failed": {"kind", "message", "hint", "detail"},
}


def test_stable_names_are_there() -> None:
    known = {kind.model_fields["type"].default: kind for kind in EVENTS}
    for name, fields in STABLE.items():
        assert fields | {"seq", "time", "type"} <= set(known[name].model_fields), name


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_events_come_back_as_they_were(kind: type[events.Event], data: Any) -> None:
    event = data.draw(_RESULTS if kind is events.Result else st.builds(kind))
    line = events.encode(event)
    assert "\n" not in line and json.loads(line)["type"] == event.type  # type: ignore[attr-defined]
    assert _same(events.decode(line).model_dump(), event.model_dump())


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_commands_come_back_as_they_were(kind: type[commands.Command], data: Any) -> None:
    command = data.draw(st.builds(kind))
    assert _same(commands.decode(commands.encode(command)).model_dump(), command.model_dump())


@given(st.binary(max_size=200))
def test_garbage_is_an_error_of_validation_and_nothing_else(line: bytes) -> None:
    for decode in (events.decode, commands.decode):
        with pytest.raises(ValidationError):
            decode(line)


def _same(one: Any, other: Any) -> bool:
    """Equal, where what JSON cannot say (not-a-number, infinity) comes back as not-a-number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(other, float) and not math.isfinite(other):
        return isinstance(one, float) and math.isnan(one)
    return bool(one == other)
