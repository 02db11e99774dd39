"""`tunesmith chat`: talk to a run, a checkpoint, a model or a GGUF file."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from studio.cli.settings_flags import with_settings
from studio.spec.sampling import Sampling


@with_settings(Sampling)
def chat(
    source: Annotated[str, typer.Argument(metavar="RUN|FILE.gguf|MODEL", help="What to talk to.")],
    *,
    prompt: Annotated[str | None, typer.Option("--prompt", help="Ask this one question and end.")] = None,
    system: Annotated[str | None, typer.Option("--system", help="What the model is told first.")] = None,
    checkpoint: Annotated[
        int | None, typer.Option("--checkpoint", help="A checkpoint's step; else the result.")
    ] = None,
    base: Annotated[bool, typer.Option("--base", help="The run's model before it was tuned.")] = False,
    device: Annotated[str, typer.Option("--device", help='"auto", "cpu", "cuda" or "mps" (not for GGUF).')] = "auto",
    given: dict[str, Any],
) -> int:
    """Talk to a model; answers stream. Without --prompt it is a conversation: /reset, /system TEXT, /quit."""
    from studio.cli.talking import Conversation, converse

    arguments = {"source": source, "checkpoint": checkpoint, "base": base, "device": device}
    with Conversation(arguments, system=system, sampling=given) as conversation:
        if prompt is not None:
            conversation.ask(prompt)
        else:
            converse(conversation)
    return 0


COMMAND = chat
