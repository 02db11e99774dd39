"""The command line: one file a command, found by walking `studio/cli/commands`. It never loads torch."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from typing import TYPE_CHECKING

from studio.errors import Cancelled, UserError

if TYPE_CHECKING:
    import click


def run(arguments: list[str]) -> int:
    """Run one command; 0 done, 1 failed, 2 the input was wrong, 130 interrupted."""
    import click
    from rich.console import Console

    from studio.project.jobs import WorkerFailed

    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        result = build()(arguments, prog_name="tunesmith", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except UserError as error:
        errors.print(str(error), style="red")
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except WorkerFailed as error:
        errors.print(str(error), style="red")
        errors.print(error.detail)
        return 1
    except (Cancelled, KeyboardInterrupt, click.Abort):
        errors.print("Interrupted.")
        return 130
    except Exception:  # noqa: BLE001 - a bug: said as one, with its traceback
        traceback.print_exc(file=sys.stderr)
        errors.print("This is a fault in Tunesmith. The lines above tell where.", style="red")
        return 1


def build() -> click.Command:
    """The whole command line as one click command. Command files keep their module level light: --help reads all."""
    import typer

    from studio.cli import commands

    app = typer.Typer(
        name="tunesmith",
        help="Fine-tune language models on your own computer, talk to the result, and export it as GGUF.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in pkgutil.iter_modules(commands.__path__):
        name = module.name.replace("_", "-")
        command = importlib.import_module(f"{commands.__name__}.{module.name}").COMMAND
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return typer.main.get_command(app)
