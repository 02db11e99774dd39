"""Shows rows as a model sees them: `ask` commands in, results out. A large tokenizer stops the process that loads it
for a second, which must not be the window; neither torch nor Qt here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.protocol.commands import Ask, Stop
from studio.protocol.events import Result
from studio.worker.job import Context, Job

if TYPE_CHECKING:
    from studio.data.store.reading import RowStore
    from studio.models.tokenizer import ChatTokenizer


def _run(context: Context, arguments: dict[str, Any]) -> None:
    """Load the tokenizer of `arguments["model"]` at `revision`; the first result says whether it is on this computer.

    A question is an object with `format`, `columns`, `settings`, and the row itself as `row`, or where it is kept, as
    `folder` and `ordinal`.
    """
    from studio.models.source import find_model
    from studio.models.tokenizer import ChatTokenizer

    folder = find_model(arguments["model"], arguments.get("revision", ""))
    context.emit(Result(value={"has_model": folder is not None}))
    if folder is None:
        return
    answers = _Answers(ChatTokenizer.load(folder))
    while True:
        command = context.inbox.get()
        if isinstance(command, Stop) or context.closed.is_set():
            return
        if isinstance(command, Ask):
            context.emit(Result(value={"number": command.number, **answers.to(json.loads(command.question))}))


class _Answers:
    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
        self._store: RowStore | None = None

    def to(self, question: dict[str, Any]) -> dict[str, Any]:
        """A seen row as plain values."""
        from studio.data.encoding import EncodingSettings
        from studio.data.store.seen import SeenRow, see_row
        from studio.formats import FORMATS, Recognised

        row = question["row"] if "row" in question else self._kept(Path(question["folder"]), question["ordinal"])
        if row is None:
            return SeenRow(problem="cannot be read").as_dict()
        reader = Recognised(FORMATS.get(question["format"]), question["columns"], "")
        return see_row(row, reader, self._tokenizer, EncodingSettings(*question["settings"])).as_dict()

    def _kept(self, folder: Path, ordinal: int) -> Any:
        from studio.data.store.reading import RowStore

        if self._store is None or self._store.folder != folder:
            self._store = RowStore(folder)
        elif ordinal >= self._store.num_rows:
            self._store.refresh()
        return self._store.row(ordinal)


JOB = Job(key="see_rows", run=_run)
