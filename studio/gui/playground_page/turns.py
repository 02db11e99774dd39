"""What one column shows of a question and its answer: the bubble, the words, the line of figures and buttons below."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QGuiApplication, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Badge, Banner, IconButton, Skeleton, Text
from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.controls.text import Tone
from studio.gui.icons import Icon
from studio.gui.playground_page.markdown import AnswerText
from studio.gui.theme import tokens
from studio.project.conversations import Answer, Node

_BUBBLE_SHARE = (1, 5)  # of the column's width, free and filled
_ENDINGS = {"length": "cut at its longest length", "cancelled": "stopped", "": "lost: the chat ended"}


@dataclass(frozen=True)
class Place:
    """Which of several of a kind is shown, from 0."""

    at: int = 0
    count: int = 1


class Pager(QWidget):
    """‹ 2 of 3 ›, hidden where there is only one.

    Signals:
        chosen(int): another one is wanted.
    """

    chosen = Signal(int)

    def __init__(self, what: str, place: Place) -> None:
        super().__init__()
        self._place = place
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        before, behind = IconButton(Icon.CARET_LEFT, f"Earlier {what}"), IconButton(Icon.CARET_RIGHT, f"Later {what}")
        before.setEnabled(place.at > 0)
        behind.setEnabled(place.at < place.count - 1)
        before.clicked.connect(lambda: self.chosen.emit(self._place.at - 1))
        behind.clicked.connect(lambda: self.chosen.emit(self._place.at + 1))
        row.addWidget(before)
        row.addWidget(Text(f"{place.at + 1} of {place.count}", "small", "text3"))
        row.addWidget(behind)
        if place.count <= 1:
            self.hide()


class QuestionView(QWidget):
    """The person's words, at the right.

    Signals:
        edit_wanted()
        branch_chosen(int): another question in this place, from 0.
    """

    edit_wanted = Signal()
    branch_chosen = Signal(int)

    def __init__(self, question: str, place: Place) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        edit = IconButton(Icon.EDIT, "Edit the question; this one stays as a branch")
        edit.clicked.connect(self.edit_wanted)
        line.addStretch(_BUBBLE_SHARE[0])
        line.addWidget(edit, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(_Bubble(question), _BUBBLE_SHARE[1])
        column.addLayout(line)
        pager = Pager("wording", place)
        pager.chosen.connect(self.branch_chosen)
        column.addWidget(pager, 0, Qt.AlignmentFlag.AlignRight)


class _Bubble(QFrame):
    def __init__(self, text: str) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 10)
        words = Text(text, "body", wrap=True, selectable=True)
        layout.addWidget(words)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.setAccessibleName(f"You: {text}")

    def paintEvent(self, event: QPaintEvent) -> None:
        fill_box(antialiased(self), QRectF(self.rect()), 10, tokens().hover)


@dataclass(frozen=True)
class AnswerTools:
    """Which buttons an answer has besides copying."""

    again: bool = False
    branch: bool = False
    correct: bool = False


class AnswerView(QWidget):
    """A model's words and what can be done with them.

    Attributes:
        text: the words.
        below: layout under the answer, for the panel that corrects it.

    Signals:
        again_wanted(), branch_wanted(), correct_wanted()
        version_chosen(int): another version, from 0.
    """

    again_wanted = Signal()
    branch_wanted = Signal()
    correct_wanted = Signal()
    version_chosen = Signal(int)

    def __init__(self, tone: Tone, who: str) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._waiting = Skeleton(3)
        self.text = AnswerText(tone, name=f"{who} answers")
        self.caption = Text("", "small", "text3")
        self._column.addWidget(self._waiting)
        self._column.addWidget(self.text)
        self._foot = QHBoxLayout()
        self._foot.setSpacing(2)
        self._foot.addWidget(self.caption, 1)
        self._column.addLayout(self._foot)
        self.below = QVBoxLayout()
        self._column.addLayout(self.below)

    def show_live(self, text: str, note: str = "") -> None:
        """An answer on its way."""
        self._waiting.setVisible(not text)
        self.text.setVisible(bool(text))
        self.caption.say(note)
        if text:
            self.text.show_growing(text)

    def show_answer(self, answer: Answer, place: Place, tools: AnswerTools) -> None:
        """A finished answer."""
        self._waiting.hide()
        self.text.show_whole(answer.text)
        self.caption.say(caption(answer))
        self.caption.setToolTip(answer.model)
        pager = Pager("answer", place)
        pager.chosen.connect(self.version_chosen)
        self._foot.addWidget(pager)
        if answer.corrected:
            self._foot.addWidget(Badge("corrected", "good", icon=Icon.CHECK))
        self._button(Icon.COPY, "Copy the answer", lambda: QGuiApplication.clipboard().setText(answer.text))
        if tools.again:
            self._button(Icon.AGAIN, "Answer again (Ctrl+R)", self.again_wanted.emit)
        if tools.branch:
            self._button(Icon.BRANCH, "Go on from here; what follows stays as a branch", self.branch_wanted.emit)
        if tools.correct:
            self._button(Icon.EDIT, "Correct this answer (Ctrl+E)", self.correct_wanted.emit)

    def _button(self, icon: Icon, name: str, slot: object) -> None:
        button = IconButton(icon, name)
        button.clicked.connect(slot)
        self._foot.addWidget(button, 0, Qt.AlignmentFlag.AlignRight)


class MissedView(QWidget):
    """In the place of an answer that there is none of: the side was off, or could not answer."""

    def __init__(self, problem: str = "") -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        if problem:
            column.addWidget(Banner("warn", "No answer", problem))
        else:
            column.addWidget(Text("Not asked.", "small", "text3"))


def caption(answer: Answer) -> str:
    """'41 tokens · 33.9 a second', and how it ended when not by itself."""
    parts = []
    if tokens_drawn := answer.figures.get("tokens"):
        parts.append(f"{figures.count(tokens_drawn)} {'token' if tokens_drawn == 1 else 'tokens'}")
    if rate := answer.figures.get("tokens_per_second"):
        parts.append(f"{rate:.1f} a second" if rate < 100 else f"{figures.count(rate)} a second")
    if answer.finish in _ENDINGS:
        parts.append(_ENDINGS[answer.finish])
    return " · ".join(parts)


def place_of(node: Node, side: str) -> Place:
    """Which version of an answer is shown."""
    return Place(node.shown_number(side), len(node.answers.get(side, [])))
