"""What the options of `tunesmith data` mean: columns, format, model, what is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from studio.errors import UserError, nearest

if TYPE_CHECKING:
    from studio.data.encoding import EncodingSettings
    from studio.formats import Recognised
    from studio.models.tokenizer import ChatTokenizer


def mapping(columns: Sequence[str] | None) -> dict[str, str]:
    """`ROLE=NAME` options as a mapping.

    Raises:
        UserError: one is not of this form.
    """
    pairs = [column.partition("=") for column in columns or ()]
    for role, sign, name in pairs:
        if not (role and sign and name):
            raise UserError(f'"--column {role}" names no column.', "Write it as ROLE=NAME, for example answer=reply.")
    return {role: name for role, _, name in pairs}


def recognised(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], key: str) -> Recognised | UserError:
    """The format, or why none is settled: inspecting a file goes on without one."""
    from studio.formats import recognise

    try:
        return recognise(rows, columns, key)
    except UserError as error:
        if columns or key != "auto":
            raise
        return error


def reader_of(file: Path, columns: Sequence[str] | None, key: str) -> Recognised:
    """The settled format of a file.

    Raises:
        UserError: it cannot be read, or no format is certain.
    """
    from studio.data.source import first_rows, open_source
    from studio.formats import recognise

    return recognise(first_rows(open_source(file)), mapping(columns), key)


def load_tokenizer(model: str) -> ChatTokenizer:
    """The tokenizer of a model folder, a Hub name or "starter"."""
    from studio.cli.waiting import progress
    from studio.models.source import resolve_model
    from studio.models.tokenizer import ChatTokenizer

    with progress(f"Fetching {model}", "bytes") as bar:
        folder = resolve_model(model, on_progress=lambda done, total, _: bar(int(done), int(total)))
    return ChatTokenizer.load(folder)


def encoding_settings(train_on: str, truncation: str, max_length: int) -> EncodingSettings:
    """The options as settings.

    Raises:
        UserError: a word that is none of the choices.
    """
    from studio.data.encoding import EncodingSettings
    from studio.data.masking import TrainOn

    for option, said, known in (
        ("--train-on", train_on, get_args(TrainOn)),
        ("--truncation", truncation, ("end", "start")),
    ):
        if said not in known:
            raise UserError(f'{option} cannot be "{said}".', nearest(said, known))
    return EncodingSettings(cast(Any, train_on), cast(Any, truncation), max_length)
