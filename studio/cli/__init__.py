"""The command line: one file a command, found by walking `studio/cli/commands`. It never loads torch."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from typing import TYPE_CHECKING, Any

from studio.errors import Cancelled, UserError

if TYPE_CHECKING:
    from rich.console import Console


def run(arguments: list[str]) -> int:
    """Run one command; 0 done, 1 failed, 2 the input was wrong, 130 interrupted."""
    import typer
    from rich.console import Console

    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        result = build()(arguments, prog_name="tunesmith", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except UserError as error:
        errors.print(str(error), style="red")
        return 2
    except _usage_error() as error:
        errors.print(f"{error.format_message()} See: {_help_command(error)}", style="red")
        return 2
    except typer.Exit as error:
        return error.exit_code
    except (Cancelled, KeyboardInterrupt, typer.Abort):
        errors.print("Interrupted.")
        return 130
    except BrokenPipeError:  # whoever read our output has gone (`tunesmith runs | head`)
        sys.stderr.close()
        return 1
    except Exception as error:  # noqa: BLE001 - a bug: said as one, with its traceback
        _report(error, errors)
        return 1


def build() -> Any:
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
    app.callback()(_nothing)
    for module in pkgutil.iter_modules(commands.__path__):
        name = module.name.replace("_", "-")
        command = importlib.import_module(f"{commands.__name__}.{module.name}").COMMAND
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return typer.main.get_command(app)


def _nothing() -> None:
    """Fine-tune language models on your own computer, talk to the result, and export it as GGUF."""


def _report(error: Exception, errors: Console) -> None:
    """A worker that failed is told in its own words; anything else is a bug of ours, with its traceback."""
    from studio.project.jobs import WorkerFailed  # not needed for --help, which must be quick

    if isinstance(error, WorkerFailed):
        errors.print(str(error), style="red")
        errors.print(error.detail)
        return
    traceback.print_exception(error, file=sys.stderr)
    errors.print("This is a fault in Tunesmith. The lines above tell where.", style="red")


def _usage_error() -> Any:
    """The class of "no such option" and its like; typer brings its own click, so it is not click's."""
    import typer

    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def _help_command(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else 'tunesmith'} --help"
