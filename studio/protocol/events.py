"""Every event a worker can say. Names are a stable contract (DESIGN.md section 5): more may be added, none changed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

# JSON has no not-a-number: it is written as null, and comes back as what it was.
Figure = Annotated[float, BeforeValidator(lambda value: float("nan") if value is None else value)]


class Event(BaseModel):
    """Base of all events. `seq` and `time` (Unix seconds) are put on by the writer."""

    model_config = ConfigDict(frozen=True, extra="allow")

    seq: int = 0
    time: Figure = 0.0


class Hello(Event):
    """First word of a worker: who it is and where it takes up the run (`step` 0 for a new one)."""

    type: Literal["hello"] = "hello"
    job: str
    pid: int
    version: str
    step: int = 0
    total_steps: int = 0


class Phase(Event):
    """What is being done now, with an amount where there is one. `total` 0 means not known."""

    type: Literal["phase"] = "phase"
    name: str
    done: Figure = 0
    total: Figure = 0
    unit: str = ""


class Step(Event):
    """One optimizer step. `loss` is the mean over the step's trained tokens; `tokens` are the step's own.

    `waited`: seconds of the step in which it could only wait for the drive, where weights stream from it.
    """

    type: Literal["step"] = "step"
    step: int
    loss: Figure
    learning_rate: Figure
    grad_norm: Figure
    tokens: int
    trained_tokens: int
    seconds: Figure
    waited: Figure = 0.0


class Memory(Event):
    """Bytes in use, split by kind (weights, adapter, gradients, optimizer, activations, cache, other)."""

    type: Literal["memory"] = "memory"
    step: int = 0
    gpu: dict[str, int] = {}
    ram: dict[str, int] = {}
    disk: dict[str, int] = {}


class Layers(Event):
    """From this step on only some of the model's layers are trained: `active` of them, counted from 0, of `total`.

    `others` says whether what is no layer (embedding, head, last norm) is trained as well. `turns` counts how often
    each layer has been chosen so far, this time included.
    """

    type: Literal["layers"] = "layers"
    step: int
    active: list[int]
    total: int
    others: bool = False
    turns: list[int] = []


class Eval(Event):
    """Held-out loss at a step, with further figures in `metrics` (perplexity, tokens, ...)."""

    type: Literal["eval"] = "eval"
    step: int
    loss: Figure
    metrics: dict[str, Figure] = {}
    is_best: bool = False


class Sample(Event):
    """What the model answers to a fixed prompt at this step."""

    type: Literal["sample"] = "sample"
    step: int
    prompt: str
    text: str


class Checkpoint(Event):
    """A complete checkpoint exists at `path` (relative to the run folder)."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str


class Notice(Event):
    """Something a person should know; the work goes on."""

    type: Literal["notice"] = "notice"
    severity: Literal["info", "warning", "error"] = "info"
    text: str
    hint: str = ""


class Token(Event):
    """A piece of streamed text. `turn` numbers the answer; `finish` is set on its last piece."""

    type: Literal["token"] = "token"
    turn: int
    text: str
    finish: Literal["", "stop", "length", "cancelled"] = ""
    figures: dict[str, Figure] = {}


class Result(Event):
    """What a job that has no run folder brings back (export report, evaluation, rendered rows)."""

    type: Literal["result"] = "result"
    value: dict[str, Any]


class Done(Event):
    """Last word of a worker that ended as it should."""

    type: Literal["done"] = "done"
    reason: Literal["finished", "stopped", "paused", "early_stop", "cancelled"] = "finished"
    step: int = 0


class Failed(Event):
    """Last word of a worker that could not go on. `kind` is "user" when a person can put it right, else "bug"."""

    type: Literal["failed"] = "failed"
    kind: str
    message: str
    hint: str = ""
    detail: str = ""
    problems: list[dict[str, Any]] = []


AnyEvent = Annotated[
    Hello | Phase | Step | Memory | Layers | Eval | Sample | Checkpoint | Notice | Token | Result | Done | Failed,
    Field(discriminator="type"),
]
_ADAPTER: TypeAdapter[Event] = TypeAdapter(AnyEvent)


def decode(line: str | bytes) -> Event:
    """The event on one line.

    Raises:
        pydantic.ValidationError: the line is no event this version knows.
    """
    return _ADAPTER.validate_json(line)


def encode(event: Event) -> str:
    """One line, without the line break. Not-a-number is written as null, so that any JSON reader can follow."""
    return event.model_dump_json()
