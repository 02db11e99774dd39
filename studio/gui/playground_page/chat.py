"""A conversation with two sides: what is asked, answered, drawn anew, branched and kept. No widgets here."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from studio.errors import UserError
from studio.gui.playground_page.side import ChatSide
from studio.gui.tasks import Control, Tasks
from studio.project.conversations import Answer, Conversation, Node, save_conversation
from studio.spec.sampling import Sampling

BASE, TUNED = "base", "tuned"
_SEEDS = 2**31


@dataclass
class Live:
    """An answer that is on its way."""

    key: int
    text: str = ""


class Chat(QObject):
    """The conversation and the two models.

    Attributes:
        sides: "base" and "tuned".
        conversation: what was said.
        live: side -> the answer on its way.
        labels: side -> what the model is called in kept answers.
        sampling: how answers are drawn.
        same_seed: both sides draw by the same seed where none is set.

    Signals:
        turned(): questions or answers came, went, or are others.
        grew(str): the live answer of a side is longer.
        moved(): a side's state is another, or an answer began or ended.
    """

    turned = Signal()
    grew = Signal(str)
    moved = Signal()

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self.sides = {BASE: ChatSide(tasks, self), TUNED: ChatSide(tasks, self)}
        self.conversation = Conversation()
        self.live: dict[str, Live] = {}
        self.labels: dict[str, str] = {}
        self.sampling = Sampling()
        self.same_seed = True
        self.folder: Path | None = None
        self._is_saving = self._is_stale = False
        for name, side in self.sides.items():
            side.changed.connect(self.moved)
            side.grew.connect(partial(self._on_grew, name))
            side.answered.connect(partial(self._on_answered, name))

    @property
    def is_answering(self) -> bool:
        """Whether an answer is on its way."""
        return bool(self.live)

    def active(self) -> list[str]:
        """Sides that are asked."""
        return [name for name, side in self.sides.items() if side.state not in ("off", "ended")]

    def begin(self, folder: Path | None, conversation: Conversation | None = None) -> None:
        """Show another conversation, kept in a project's folder."""
        self.stop()
        self.live.clear()
        self.folder = folder
        self.conversation = conversation or Conversation(system=self.conversation.system)
        self.turned.emit()

    def ask(self, text: str) -> None:
        """Ask all sides that are on."""
        self._put(self.conversation.ask(text), self.active())

    def edit(self, key: int, text: str) -> None:
        """Ask something else in the place of a question."""
        self._put(self.conversation.edit(key, text), self.active())

    def again(self, key: int, side: str) -> None:
        """Draw another answer of one side."""
        self.again_all(key, [side])

    def again_all(self, key: int, sides: list[str]) -> None:
        """Draw another answer of several sides."""
        self._put(self.conversation.nodes[key], sides)

    def next_messages(self, side: str, text: str) -> list[dict[str, str]]:
        """What a side would read if `text` were asked now; with none, what it read for the last question."""
        last = self.conversation.last
        if last is not None and not text:
            return self.conversation.messages(last, side)
        trial = copy.deepcopy(self.conversation)
        return trial.messages(trial.ask(text or "…").key, side)

    def branch(self, key: int) -> None:
        """Go on from an earlier answer."""
        self.conversation.branch(key)
        self._keep()
        self.turned.emit()

    def show_branch(self, key: int) -> None:
        """Show the branch of a question."""
        self.conversation.show_branch(key)
        self._keep()
        self.turned.emit()

    def show_version(self, key: int, side: str, number: int) -> None:
        """Show another version of an answer."""
        self.conversation.nodes[key].shown[side] = number
        self._keep()
        self.turned.emit()

    def mark_corrected(self, key: int, side: str, text: str) -> None:
        """Go on as if the side had said this; "" takes that back."""
        answer = self.conversation.nodes[key].answer(side)
        if answer is not None:
            answer.corrected = text
            self._keep()
            self.turned.emit()

    def stop(self) -> None:
        """End the answers on their way; what came is kept."""
        for name in list(self.live):
            self.sides[name].stop()

    def share_of_context(self) -> float:
        """How full the fuller model's context is, by its last answer; not-a-number before one."""
        shares = [self._share(name) for name in self.sides]
        return max((share for share in shares if share == share), default=float("nan"))

    def _share(self, name: str) -> float:
        side, path = self.sides[name], self.conversation.path()
        answers = [answer for node in path if (answer := node.answer(name)) is not None and answer.figures]
        if not answers or not side.context_length:
            return float("nan")
        figures = answers[-1].figures
        return (figures.get("prompt_tokens", 0) + figures.get("tokens", 0)) / side.context_length

    # Inside

    def _put(self, node: Node, names: list[str]) -> None:
        sampling = self._drawn()
        self.conversation.last = node.key
        for name in names:
            self.live[name] = Live(node.key)
        self.turned.emit()
        for number, name in enumerate(names):
            values = sampling if self.same_seed or number == 0 else self._drawn()
            self.sides[name].say(self.conversation.messages(node.key, name), values)
        self._keep()
        self.moved.emit()

    def _drawn(self) -> dict[str, Any]:
        """The sampling with a seed, so that both sides can share it."""
        values = self.sampling.model_dump(exclude_none=True)
        return {"seed": secrets.randbelow(_SEEDS), **values}

    def _on_grew(self, name: str, piece: str) -> None:
        if name in self.live:
            self.live[name].text += piece
            self.grew.emit(name)

    def _on_answered(self, name: str, reason: str, figures: Mapping[str, float]) -> None:
        live = self.live.pop(name, None)
        if live is None:
            return
        node = self.conversation.nodes.get(live.key)
        if node is not None and (live.text or reason not in ("refused", "cancelled", "")):
            numbers = {key: value for key, value in figures.items() if value == value}
            node.add(name, Answer(live.text, self.labels.get(name, ""), reason, numbers))
        self._keep()
        self.turned.emit()
        self.moved.emit()

    def _keep(self) -> None:
        """Save off the window's thread; changes while it saves are saved after it."""
        if self.folder is None or not self.conversation.nodes:
            return
        self._is_stale = True
        if not self._is_saving:
            self._is_saving, self._is_stale = True, False
            record = copy.deepcopy(self.conversation)  # it may change while it is written
            self._tasks.run(_save, self.folder, record, on_done=self._on_kept, on_error=self._on_not_kept)

    def _on_kept(self, _: object) -> None:
        self._is_saving = False
        if self._is_stale:
            self._keep()

    def _on_not_kept(self, error: Exception) -> None:
        self._is_saving = self._is_stale = False
        self._tasks.faulted.emit(UserError("The conversation cannot be saved.", str(error)))


def _save(control: Control, folder: Path, conversation: Conversation) -> None:
    save_conversation(folder, conversation)
