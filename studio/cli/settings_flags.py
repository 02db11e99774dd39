"""Command-line flags read from a declaration of settings: one flag a field, with its help and bounds."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from studio.declare import Settings
from studio.errors import Problem, UserError


def with_settings(settings: type[Settings]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command a flag for each field; it gets those that were given as the keyword `given`."""

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "given"]
        flags = [_parameter(name, field) for name, field in settings.model_fields.items()]

        def run(**arguments: Any) -> int:
            given = {name: arguments.pop(name) for name in settings.model_fields}
            given = {name: value for name, value in given.items() if value is not None}
            _check(settings, given)
            return command(**arguments, given=given)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
        return run

    return decorate


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    kind = _plain_type(field.annotation)
    default = "" if field.default is None else f" [default: {field.default:g}]"
    option = typer.Option(f"--{name.replace('_', '-')}", help=f"{field.description}{default}", show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _plain_type(annotation: Any) -> Any:
    """`int | None` is `int` on the command line: a flag that is left out is None."""
    if isinstance(annotation, types.UnionType):
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


def _check(settings: type[Settings], given: dict[str, Any]) -> None:
    try:
        settings.model_validate(given)
    except ValidationError as error:
        problems = [Problem(f"--{str(e['loc'][0]).replace('_', '-')}", f"{e['msg']}.") for e in error.errors()]
        raise UserError("A setting is out of its bounds.", problems=problems) from error
