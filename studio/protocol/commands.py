"""What a worker can be told, by a line in `commands.jsonl` or on its standard input."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Command(BaseModel):
    """Base of all commands. `time` is Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="allow")

    time: float = 0.0


class Stop(Command):
    """Save a checkpoint and the result, then end."""

    type: Literal["stop"] = "stop"


class Pause(Command):
    """Save a checkpoint, give all memory back, and end; `resume` goes on from here."""

    type: Literal["pause"] = "pause"


class Save(Command):
    """Save a checkpoint now and go on."""

    type: Literal["save"] = "save"


class Cancel(Command):
    """End what is under way (an answer being streamed, an export) and leave nothing half-made."""

    type: Literal["cancel"] = "cancel"


class Say(Command):
    """A chat turn: the whole conversation so far and how to sample the answer."""

    type: Literal["say"] = "say"
    turn: int
    messages: list[dict[str, str]]
    sampling: dict[str, float | int] = {}


class Render(Command):
    """Ask for the exact text that a conversation becomes; it comes back as a `result` with `prompt` and `tokens`."""

    type: Literal["render"] = "render"
    messages: list[dict[str, str]]


class Ask(Command):
    """A question to a job that answers many, as JSON; its answer is a `result` that has the same `number`."""

    type: Literal["ask"] = "ask"
    number: int
    question: str


AnyCommand = Annotated[Stop | Pause | Save | Cancel | Say | Render | Ask, Field(discriminator="type")]
_ADAPTER: TypeAdapter[Command] = TypeAdapter(AnyCommand)


def decode(line: str | bytes) -> Command:
    """The command on one line.

    Raises:
        pydantic.ValidationError: the line is no command this version knows.
    """
    return _ADAPTER.validate_json(line)


def encode(command: Command) -> str:
    """One line, without the line break."""
    return command.model_dump_json()
