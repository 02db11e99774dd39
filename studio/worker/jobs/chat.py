"""Talks: `say` commands in, `token` events out, until its standard input closes. One conversation at a time."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from studio.errors import UserError
from studio.protocol.commands import Cancel, Say, Stop
from studio.protocol.events import Notice, Phase, Result
from studio.spec.sampling import Sampling
from studio.worker.job import Context, Job


def run(context: Context, arguments: dict[str, Any]) -> None:
    """Arguments: `source`, and optionally `checkpoint`, `base`, `device`. Ready once the `result` event comes."""
    from studio.worker.chatting import answer, open_talker  # heavy

    context.emit(Phase(name="Loading the model"))
    talker = open_talker(
        arguments,
        lambda done, total, text: context.emit(Phase(name=f"Fetching {text}", done=done, total=total, unit="bytes")),
    )
    context.emit(Result(value={"name": talker.name}))
    while True:
        command = context.inbox.get()
        if isinstance(command, Stop) or context.closed.is_set():
            return
        if isinstance(command, Cancel):
            context.cancelled.clear()  # it ended the answer before it; the conversation goes on
        if isinstance(command, Say):
            try:
                answer(
                    talker,
                    command.messages,
                    turn=command.turn,
                    sampling=Sampling.model_validate(command.sampling),
                    emit=context.emit,
                    is_cancelled=context.cancelled.is_set,
                )
            except (UserError, ValidationError) as error:
                hint = error.hint if isinstance(error, UserError) else ""
                message = error.message if isinstance(error, UserError) else str(error)
                context.emit(Notice(severity="error", text=message, hint=hint))


JOB = Job("chat", run)
