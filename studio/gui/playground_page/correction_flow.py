"""From the pencil under an answer to a row in the data: the panel, the writing, the way back."""

from __future__ import annotations

from PySide6.QtCore import QObject

from studio.data.conversation import Message
from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.playground_page.chat import Chat
from studio.gui.playground_page.column import ChatColumn
from studio.gui.playground_page.correcting import CorrectionPanel
from studio.gui.tasks import Control
from studio.project.corrections import Added, Correction, add_correction, next_row, take_back
from studio.project.folder import Project
from studio.spec.run_spec import RunSpec


class CorrectionFlow(QObject):
    """One correction at a time, in one column."""

    def __init__(self, context: Context, chat: Chat, column: ChatColumn, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context, self._chat, self._column = context, chat, column
        self.panel: CorrectionPanel | None = None
        self._key = 0

    def open(self, key: int) -> None:
        """Let the answer to a question be corrected."""
        self.close()
        session = self._context.session
        self.panel, self._key = self._column.open_correction(key), key
        if self.panel is None or session.project is None or session.spec is None:
            return
        self.panel.closed.connect(self.close)
        self.panel.added.connect(self._on_added)
        self._context.tasks.run(
            _count, session.project, session.spec, on_done=self._on_counted, on_error=self._on_refused
        )

    def close(self) -> None:
        """Take the panel away."""
        if self.panel is not None:
            self.panel.hide()
            self.panel.deleteLater()
            self.panel = None

    def forget(self) -> None:
        """The column was built anew, and the panel went with it."""
        self.panel = None

    def _on_counted(self, number: int) -> None:
        if self.panel is not None:
            self.panel.say_row(number)

    def _on_added(self, text: str, keeps_old: bool) -> None:
        session, answer = self._context.session, self._chat.conversation.nodes[self._key].answer(self._column.side)
        if self.panel is None or answer is None or session.project is None or session.spec is None:
            return
        self.panel.set_busy("writing…")
        turns = self._chat.conversation.messages(self._key, self._column.side)
        messages = tuple(Message(turn["role"], turn["content"]) for turn in turns)  # type: ignore[arg-type]
        correction = Correction(messages, text, answer.text if keeps_old else "")
        arguments = (session.project, session.spec, correction)
        self._context.tasks.run(
            _add, *arguments, on_done=lambda added: self._on_written(added, text), on_error=self._on_refused
        )

    def _on_written(self, added: Added, text: str) -> None:
        session, key, side = self._context.session, self._key, self._column.side
        self.close()
        before = session.spec
        if session.spec is not None and added.spec.data != session.spec.data:
            session.replace(session.spec.model_copy(update={"data": added.spec.data}), "Correct an answer")
        self._chat.mark_corrected(key, side, text)
        detail = "A pair of better and worse is kept beside it." if added.pairs else "It is learned in the next run."
        undo = ("Undo", lambda: self._take_back(added, before, key, side))
        self._context.notify(f"Row {added.row:,} is in your data", detail, "good", undo)

    def _take_back(self, added: Added, before: RunSpec | None, key: int, side: str) -> None:
        try:
            take_back(added)
        except OSError as error:
            raise UserError(f"The row cannot be taken back: {error.strerror}.") from error
        session = self._context.session
        if before is not None and session.spec is not None and session.spec.data == added.spec.data != before.data:
            session.replace(session.spec.model_copy(update={"data": before.data}), "Take a correction back")
        if key in self._chat.conversation.nodes:
            self._chat.mark_corrected(key, side, "")

    def _on_refused(self, error: Exception) -> None:
        if self.panel is not None:
            self.panel.set_ready()
        if isinstance(error, UserError):
            self._context.notify(error.message, error.hint, "danger")
        else:
            self._context.tasks.faulted.emit(error)


def _count(control: Control, project: Project, spec: RunSpec) -> int:
    return next_row(project, spec)


def _add(control: Control, project: Project, spec: RunSpec, correction: Correction) -> Added:
    return add_correction(project, spec, correction, is_cancelled=control.is_cancelled)
