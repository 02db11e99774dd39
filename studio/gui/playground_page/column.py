"""One side of the conversation: who speaks, the turns, and what is said in the place of them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Badge, Banner, Button, Card, Elided, Hairline, Progress, ScrollColumn, Text
from studio.gui.controls.text import Tone
from studio.gui.icons import Icon
from studio.gui.playground_page.chat import Chat
from studio.gui.playground_page.checkpoint_slider import CheckpointSlider
from studio.gui.playground_page.correcting import CorrectionPanel
from studio.gui.playground_page.turns import AnswerTools, AnswerView, MissedView, Place, QuestionView, place_of
from studio.gui.theme import theme, tokens
from studio.gui.tokens import mixed
from studio.project.conversations import Node

_SHOWN_TURNS = 12
_HEAD_HEIGHT = 60


class ChatColumn(Card):
    """A column.

    Attributes:
        title, subtitle: who speaks.
        badge: beside the title at the right.
        slider: over the checkpoints; hidden for the base.

    Signals:
        edit_wanted(int), branch_wanted(int), again_wanted(int), correct_wanted(int): key of the question.
        branch_chosen(int): key of another question in the same place.
        version_chosen(int, int): key, and which version of the answer.
        load_wanted()
    """

    edit_wanted = Signal(int)
    branch_wanted = Signal(int)
    again_wanted = Signal(int)
    correct_wanted = Signal(int)
    branch_chosen = Signal(int)
    version_chosen = Signal(int, int)
    load_wanted = Signal()

    def __init__(self, chat: Chat, side: str, *, tone: Tone, is_tuned: bool) -> None:
        super().__init__(padding=0, spacing=0)
        self._chat, self.side, self._tone, self._is_tuned = chat, side, tone, is_tuned
        self._is_folded = True
        self._live: AnswerView | None = None
        self._answers: dict[int, AnswerView] = {}
        self._sticks = True
        self.name = Text("", "heading", "accent_text" if is_tuned else "text")
        self.subtitle = Elided("", "small", "text2")
        self.moment = Text("", "body_strong")
        self.badge = Badge("best", "good")
        self.slider = CheckpointSlider()
        self.turns = ScrollColumn(spacing=14, margins=(18, 16, 18, 16))
        self._lay_out()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        bar = self.turns.verticalScrollBar()
        bar.rangeChanged.connect(self._on_range)
        bar.valueChanged.connect(self._on_scrolled)
        theme().changed.connect(self._dress)
        self._dress()
        self.refresh()

    def say(self, name: str, subtitle: str) -> None:
        """Who speaks."""
        self.name.say(name)
        self.subtitle.say(subtitle)
        self.setAccessibleName(name)

    def say_moment(self, words: str, *, is_best: bool) -> None:
        """Which moment of the run answers."""
        self.moment.say(words)
        self.badge.setVisible(is_best)

    def show_slider(self, is_shown: bool) -> None:
        """Checkpoints in the place of the subtitle, or not."""
        self.slider.setVisible(is_shown)
        self.subtitle.setVisible(not is_shown)

    # Turns

    def rebuild(self) -> None:
        """Show the conversation as it is."""
        path = self._chat.conversation.path()
        bar = self.turns.verticalScrollBar()
        stays_at = bar.value() if not self._sticks else None
        self._clear()
        hidden = max(0, len(path) - _SHOWN_TURNS) if self._is_folded else 0
        if hidden:
            self._add(self._unfold_button(hidden), Qt.AlignmentFlag.AlignHCenter)
        for node in path[hidden:]:
            self._add_turn(node, is_last=node is path[-1])
        if not path:
            self._add_hint()
        if path and (following := self._following(path[-1])):
            self._add(self._following_button(following), Qt.AlignmentFlag.AlignHCenter)
        self.turns.column.addStretch(1)
        if stays_at is not None:
            QTimer.singleShot(0, self, lambda: bar.setValue(stays_at))

    def grow(self) -> None:
        """The live answer is longer."""
        live = self._chat.live.get(self.side)
        if self._live is not None and live is not None:
            self._live.show_live(live.text, self._note())

    def follow(self) -> None:
        """Keep to the newest words."""
        self._sticks = True
        self._on_range()

    def open_correction(self, key: int) -> CorrectionPanel | None:
        """A panel under the answer of a question; None when it is not shown."""
        view, answer = self._answers.get(key), self._chat.conversation.nodes[key].answer(self.side)
        if view is None or answer is None:
            return None
        panel = CorrectionPanel(answer.corrected or answer.text)
        view.below.addWidget(panel)
        panel.box.setFocus()
        self._sticks = False
        QTimer.singleShot(60, panel, lambda: self.turns.ensureWidgetVisible(panel, 0, 12))
        return panel

    def last_answered(self) -> int | None:
        """Key of the last question shown that this side has answered."""
        return next(reversed(self._answers), None)

    # State

    def refresh(self) -> None:
        """Show what the side's process does."""
        side = self._chat.sides[self.side]
        self._banner_row.setVisible(side.state == "ended")
        if side.state == "ended":
            self._ended.title.say(side.headline)
            self._ended.text.say(side.problem)
            self._ended.text.setVisible(bool(side.problem))
        is_loading = side.state == "loading"
        self._loading.setVisible(is_loading)
        if is_loading:
            self._phase.say(f"{side.phase}…")
            self._bar.set_share(side.share)
        if self._live is not None:
            self.grow()

    # Inside

    def _lay_out(self) -> None:
        head = QWidget()
        head.setFixedHeight(_HEAD_HEIGHT)
        column = QVBoxLayout(head)
        column.setContentsMargins(18, 8, 18, 6)
        column.setSpacing(1)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.name)
        line.addStretch(1)
        line.addWidget(self.moment)
        line.addWidget(self.badge)
        column.addLayout(line)
        self.subtitle.setFixedHeight(self.slider.sizeHint().height())
        column.addWidget(self.subtitle)
        column.addWidget(self.slider)
        self.badge.hide()
        self.slider.hide()
        self.body.addWidget(head)
        self.body.addWidget(Hairline())
        self.body.addWidget(self._loading_row())
        self.body.addWidget(self.turns, 1)
        self.body.addWidget(self._ended_row())

    def _loading_row(self) -> QWidget:
        self._loading = QWidget()
        row = QVBoxLayout(self._loading)
        row.setContentsMargins(18, 12, 18, 0)
        row.setSpacing(6)
        self._phase, self._bar = Text("", "small", "text2"), Progress(name="Loading the model")
        row.addWidget(self._phase)
        row.addWidget(self._bar)
        return self._loading

    def _ended_row(self) -> QWidget:
        self._banner_row = QWidget()
        row = QHBoxLayout(self._banner_row)
        row.setContentsMargins(12, 0, 12, 12)
        self._ended = Banner("danger", " ", " ", [("Load again", self.load_wanted.emit)], leads=self._is_tuned)
        row.addWidget(self._ended)
        return self._banner_row

    def _add_turn(self, node: Node, *, is_last: bool) -> None:
        branches = self._chat.conversation.branches(node.key)
        question = QuestionView(node.question, Place(branches.index(node.key), len(branches)))
        question.edit_wanted.connect(self._tell(self.edit_wanted, node.key))
        question.branch_chosen.connect(lambda at, keys=branches: self.branch_chosen.emit(keys[at]))
        self._add(question)
        live, answer = self._chat.live.get(self.side), node.answer(self.side)
        if live is not None and live.key == node.key:
            self._live = AnswerView(self._tone, self.name.text())
            self._live.show_live(live.text, self._note())
            self._add(self._live)
        elif answer is not None:
            self._add_answer(node, is_last=is_last)
        else:
            self._add(MissedView(self._chat.sides[self.side].problem if is_last and self._is_asked() else ""))

    def _add_answer(self, node: Node, *, is_last: bool) -> None:
        answer = node.answer(self.side)
        assert answer is not None
        side = self._chat.sides[self.side]
        view = AnswerView(self._tone, self.name.text())
        can_ask = is_last and side.state not in ("off", "ended") and not self._chat.is_answering
        tools = AnswerTools(again=can_ask, branch=not is_last, correct=self._is_tuned)
        view.show_answer(answer, place_of(node, self.side), tools)
        view.again_wanted.connect(self._tell(self.again_wanted, node.key))
        view.branch_wanted.connect(self._tell(self.branch_wanted, node.key))
        view.correct_wanted.connect(self._tell(self.correct_wanted, node.key))
        view.version_chosen.connect(lambda at, key=node.key: self.version_chosen.emit(key, at))
        self._answers[node.key] = view
        self._add(view)

    def _add_hint(self) -> None:
        self.turns.column.addStretch(1)
        self._add(Text("Answers appear here.", "small", "text3"), Qt.AlignmentFlag.AlignHCenter)

    def _is_asked(self) -> bool:
        return self._chat.sides[self.side].state == "ready"

    def _note(self) -> str:
        side = self._chat.sides[self.side]
        if side.is_silent:
            return "No word for half a minute. Stop it, or go on waiting."
        live = self._chat.live.get(self.side)
        return "" if live is None or not live.text else f"{figures.count(len(live.text))} letters so far"

    def _following(self, last: Node) -> list[int]:
        return [node.key for node in self._chat.conversation.nodes.values() if node.parent == last.key]

    def _unfold_button(self, hidden: int) -> Button:
        button = Button(f"Show {hidden} earlier turns", "quiet", icon=Icon.CARET_UP, compact=True)
        button.clicked.connect(self._unfold)
        return button

    def _following_button(self, following: list[int]) -> Button:
        button = Button("Show what followed before", "quiet", icon=Icon.BRANCH, compact=True)
        button.clicked.connect(lambda: self.branch_chosen.emit(following[-1]))
        return button

    def _unfold(self) -> None:
        self._is_folded = False
        self._sticks = False
        self.rebuild()

    def _add(self, widget: QWidget, alignment: Qt.AlignmentFlag | None = None) -> None:
        if alignment is None:
            self.turns.column.addWidget(widget)
        else:
            self.turns.column.addWidget(widget, 0, alignment)

    def _clear(self) -> None:
        self._live = None
        self._answers.clear()
        while (item := self.turns.column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    def _tell(self, signal: object, key: int) -> Callable[[], None]:
        return lambda: signal.emit(key)  # type: ignore[attr-defined]

    def _on_range(self) -> None:
        if self._sticks:
            bar = self.turns.verticalScrollBar()
            bar.setValue(bar.maximum())

    def _on_scrolled(self, value: int) -> None:
        bar = self.turns.verticalScrollBar()
        self._sticks = value >= bar.maximum() - 24

    def _dress(self) -> None:
        self.edge = mixed(tokens().border, tokens().accent, 0.55) if self._is_tuned else None
        self.update()
