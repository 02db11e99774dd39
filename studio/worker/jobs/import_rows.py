"""Rows of a file into the store that the window browses, then their lengths in tokens. Neither torch nor Qt."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from studio.protocol.events import Phase, Result
from studio.worker.job import Context, Job

_SECONDS_BETWEEN = 0.15


def _run(context: Context, arguments: dict[str, Any]) -> None:
    """Import `arguments["path"]` as `format` and `columns` say; with a `model`, count tokens as `train_on` says.

    The first result has the store's `folder`, the second one the path of the `lengths`.
    """
    from studio.data.store.head import read_head
    from studio.data.store.importing import import_rows, store_folder
    from studio.formats import recognise

    path = Path(arguments["path"])
    reader = recognise(read_head(path).good, arguments.get("columns"), arguments.get("format", "auto"))
    cancelled = context.cancelled.is_set
    folder = store_folder(path, reader, cancelled)
    context.emit(Result(value={"folder": str(folder)}))
    import_rows(path, reader, folder, on_progress=_Meter(context, "Importing"), is_cancelled=cancelled)
    context.emit(Phase(name="Imported"))
    if arguments.get("model"):
        _count(context, arguments, folder, reader)


def _count(context: Context, arguments: dict[str, Any], folder: Path, reader: Any) -> None:
    from studio.data.encoding import EncodingSettings
    from studio.data.store.lengths import count_lengths, lengths_path
    from studio.data.store.reading import RowStore
    from studio.models.source import find_model
    from studio.models.tokenizer import ChatTokenizer

    model = find_model(arguments["model"], arguments.get("revision", ""))
    if model is None:
        return  # still to be downloaded: lengths are counted once it is here
    tokenizer = ChatTokenizer.load(model)
    settings = EncodingSettings(arguments.get("train_on", "answers"))
    store = RowStore(folder)
    context.emit(Result(value={"lengths": str(lengths_path(folder, tokenizer, settings.train_on))}))
    meter = _Meter(context, "Counting tokens")
    count_lengths(store, reader, tokenizer, settings, on_progress=meter, is_cancelled=context.cancelled.is_set)
    context.emit(Phase(name="Counted"))


class _Meter:
    """Tells how many rows are done, some times a second."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self._name = name
        self._said = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._said >= _SECONDS_BETWEEN:
            self._said = now
            self._context.emit(Phase(name=self._name, done=done, total=total, unit="rows"))


JOB = Job(key="import_rows", run=_run, gives_way=True)
