"""`tunesmith doctor`: what works on this computer, what does not, and the exact fix."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from studio.machine.doctor import Part


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Skip the trial runs: about two seconds.")] = False,
) -> int:
    """Say what works on this computer, what does not, and the exact fix. Exit code 1 when something is broken."""
    from rich.console import Console

    from studio.machine.doctor import examine

    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        parts = examine(is_quick=quick)
        typer.echo(json.dumps([asdict(part) for part in parts], indent=1))
    else:
        with console.status("Looking at each part ..."):
            parts = examine(is_quick=quick)
        width = max(len(part.name) for part in parts)
        for part in parts:
            console.print(_line(part, width))
    return 1 if any(part.works is False for part in parts) else 0


def _line(part: Part, width: int) -> Text:
    """One part; the way out below it when there is one to take."""
    from rich.text import Text

    sign, style = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("–", "dim")}[part.works]
    line = Text.assemble((f" {sign} ", style), (part.name.ljust(width), "bold"), "  ", part.detail)
    if part.works is not True and part.fix:
        line.append(f"\n{' ' * (width + 5)}{part.fix}", style="yellow")
    return line


COMMAND = doctor
