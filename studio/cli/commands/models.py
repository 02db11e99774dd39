"""`tunesmith models`: the models on this computer, what the Hub has, and deleting one that came from it."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.cli.options import AsJson


def models(
    search: Annotated[str, typer.Option("--search", metavar="WORDS", help="Look on the Hub instead.")] = "",
    delete: Annotated[str, typer.Option("--delete", metavar="NAME", help="Delete a model that is from the Hub.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: AsJson = False,
) -> int:
    """List the models on this computer with their sizes: the starter, your model folders, the Hub's cache."""
    from studio.cli.following import make_console
    from studio.cli.model_views import delete_named, found_lines, print_models
    from studio.models.hub_search import search as search_hub
    from studio.models.on_disk import models_on_disk
    from studio.preferences import load_preferences

    here = models_on_disk(load_preferences().model_folders)
    console = make_console()
    if delete:
        delete_named(delete, here, console, is_said=yes)
    elif search:
        print_models(found_lines(search_hub(search)), console, as_json=as_json)
    else:
        print_models(here, console, as_json=as_json)
    return 0


COMMAND = models
