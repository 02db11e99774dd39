"""`tunesmith unpack`: open a project that somebody shared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .tunesmith file.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask after listing what is inside.")] = False,
    model: Annotated[str, typer.Option("--model", help="Your folder of the model it was made with.")] = "",
    data: Annotated[str, typer.Option("--data", help="Your file of the rows it was made with.")] = "",
) -> int:
    """List what a shared project holds, ask, and unpack it. Files from strangers are safe to open."""
    from studio.cli.following import make_console
    from studio.cli.listing import print_contents
    from studio.cli.opening import confirm, place
    from studio.project import bundle_read
    from studio.project.folder import Project

    console = make_console()
    print_contents(bundle_read.inspect(file), console)
    confirm(f"Unpack into {folder}?", is_said=yes)
    manifest = bundle_read.unpack(file, folder)
    place(Project.open(folder), manifest, model=model, data=data, console=console)
    return 0


COMMAND = unpack
