"""`tunesmith pack`: a project as one file to share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studio.cli.options import ProjectFolder


def pack(
    folder: ProjectFolder,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write, such as mine.tunesmith.")],
    include: Annotated[
        str, typer.Option("--with", metavar="data,adapter", help="What else travels: the rows, the tuned weights.")
    ] = "",
) -> int:
    """Write a project's settings and metrics to one file. It carries no path, user name or token of this computer."""
    from studio.cli.following import make_console
    from studio.cli.listing import print_contents
    from studio.errors import UserError, nearest
    from studio.project.bundle_write import CHOICES, pack
    from studio.project.folder import Project

    chosen = frozenset(part.strip() for part in include.split(",") if part.strip())
    for part in chosen - set(CHOICES):
        raise UserError(f'--with knows no "{part}".', nearest(part, CHOICES))
    manifest = pack(Project.open(folder), out, include=chosen)
    console = make_console()
    print_contents(manifest, console)
    console.print(str(out))
    return 0


COMMAND = pack
