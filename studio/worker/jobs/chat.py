"""Talks: `say` commands in, `token` events out, until its standard input closes. One conversation at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from studio.errors import UserError
from studio.protocol.commands import Cancel, Render, Say, Stop
from studio.protocol.events import Notice, Phase, Result
from studio.spec.sampling import Sampling
from studio.worker.job import Context, Job

if TYPE_CHECKING:
    from studio.worker.chatting import Talker


def run(context: Context, arguments: dict[str, Any]) -> None:
    """Arguments: `source`, and optionally `checkpoint`, `base`, `device`. Ready once the first `result` comes."""
    from studio.worker.chatting import open_talker  # heavy

    context.emit(Phase(name="Loading the model"))
    talker = open_talker(
        arguments,
        lambda done, total, text: context.emit(Phase(name=f"Fetching {text}", done=done, total=total, unit="bytes")),
    )
    facts = {"name": talker.name, "context": talker.context_length, "bytes": talker.num_bytes}
    context.emit(Result(value=facts))
    while True:
        command = context.inbox.get()
        if isinstance(command, Stop) or context.closed.is_set():
            return
        if isinstance(command, Cancel):
            context.cancelled.clear()  # it ended the answer before it; the conversation goes on
        if isinstance(command, Say | Render):
            try:
                _obey(talker, command, context)
            except (UserError, ValidationError) as error:
                hint = error.hint if isinstance(error, UserError) else ""
                message = error.message if isinstance(error, UserError) else str(error)
                context.emit(Notice(severity="error", text=message, hint=hint))


def _obey(talker: Talker, command: Say | Render, context: Context) -> None:
    from studio.worker.chatting import answer  # heavy

    if isinstance(command, Render):
        text, tokens = talker.prompt(command.messages)
        context.emit(Result(value={"prompt": text, "tokens": tokens}))
        return
    answer(
        talker,
        command.messages,
        turn=command.turn,
        sampling=Sampling.model_validate(command.sampling),
        emit=context.emit,
        is_cancelled=context.cancelled.is_set,
    )


JOB = Job("chat", run)
