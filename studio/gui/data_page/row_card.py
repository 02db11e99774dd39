"""The chosen row: as a conversation, and beside it as the tokens that the model sees. One card: they are one thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.data.conversation import Example
from studio.data.store.seen import SeenRow
from studio.gui import figures
from studio.gui.controls import Button, Card, Elided, Hairline, Segment, Skeleton, States, Text
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.data_page.conversation import Conversation
from studio.gui.data_page.token_view import TokenView
from studio.gui.icons import Icon
from studio.gui.theme import tokens
from studio.gui.tokens import RADIUS_TOKEN, mixed

# The tokens before stay this long while the next ones come: quick answers never flash.
_PATIENCE_MS = 150
_SAMPLES = {"trained": "trained", "read": "read only", "cut": "cut off"}


class RowCard(Card):
    """The row that is chosen.

    Signals:
        edit_wanted(), drop_wanted(): what its buttons ask for.
    """

    edit_wanted = Signal()
    drop_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(padding=0, spacing=0, parent=parent)
        self.setAccessibleName("The chosen row")
        self._waiting = QTimer(self)
        self._waiting.setSingleShot(True)
        self._waiting.setInterval(_PATIENCE_MS)
        self._waiting.timeout.connect(self._show_waiting)
        self.title.hide()
        self.layout().setContentsMargins(1, 1, 1, 1)  # type: ignore[union-attr]
        self.states = States()
        self.body.addWidget(self.states)
        self.states.add("nothing", self._nothing())
        self.states.add("row", self._row())

    def _nothing(self) -> QWidget:
        box = QWidget()
        layout = QVBoxLayout(box)
        layout.setContentsMargins(18, 18, 18, 18)
        self._hint = Text("Choose a row to see what the model sees of it.", "body", "text3", wrap=True)
        layout.addWidget(self._hint)
        layout.addStretch(1)
        return box

    def _row(self) -> QWidget:
        box = QWidget()
        self._sides = QBoxLayout(QBoxLayout.Direction.LeftToRight, box)
        self._sides.setContentsMargins(0, 0, 0, 0)
        self._sides.setSpacing(0)
        self._sides.addWidget(self._conversation_side(), 3)
        self._lying, self._standing = Hairline(), Hairline(Qt.Orientation.Vertical)
        self._sides.addWidget(self._standing)
        self._sides.addWidget(self._lying)
        self._sides.addWidget(self._token_side(), 4)
        self.set_tall(False)
        return box

    def _conversation_side(self) -> QWidget:
        box, layout = _side()
        self.number = Elided("", "heading")
        self.drop = Button("Leave out", "quiet", icon=Icon.TRASH, compact=True)
        self.drop.clicked.connect(self.drop_wanted)
        self.edit = Button("Edit", "quiet", icon=Icon.EDIT, compact=True)
        self.edit.clicked.connect(self.edit_wanted)
        self._head = _Head(self.number, self.drop, self.edit)
        layout.addWidget(self._head)
        self.conversation = Conversation()
        layout.addWidget(self.conversation, 1)
        return box

    def _token_side(self) -> QWidget:
        box, layout = _side()
        head = QHBoxLayout()
        head.addWidget(Elided("What the model sees", "heading"), 1)
        self.form = Segment([("tokens", "Tokens"), ("text", "Text")], name="Show as")
        self.form.chosen.connect(self._on_form)
        head.addWidget(self.form)
        layout.addLayout(head)
        self.counts = Counts()
        layout.addWidget(self.counts)
        self.problem = Text("", "small", "warn", wrap=True)
        layout.addWidget(self.problem)
        self.token_states = States()
        self.tokens = TokenView()
        self.token_states.add("tokens", self.tokens)
        self.token_states.add("busy", Skeleton(5))
        self.note = Text("", "body", "text2", wrap=True)
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.token_states.add("note", self.note)
        layout.addWidget(self.token_states, 1)
        return box

    # What is shown

    def set_tall(self, is_tall: bool) -> None:
        """One above the other, for where the card is high and narrow."""
        direction = QBoxLayout.Direction.TopToBottom if is_tall else QBoxLayout.Direction.LeftToRight
        self._sides.setDirection(direction)
        self._lying.setVisible(is_tall)
        self._standing.setVisible(not is_tall)
        self._sides.setStretch(0, 2 if is_tall else 3)
        self._sides.setStretch(3, 3 if is_tall else 4)

    def clear(self, hint: str = "Choose a row to see what the model sees of it.") -> None:
        """Show no row."""
        self._hint.say(hint)
        self.states.show_state("nothing")

    def show_row(
        self, title: str, row: Mapping[str, Any] | None, example: Example | None, problem: str, *, may_edit: bool
    ) -> None:
        """Show a row as a conversation; its tokens come with `show_seen`."""
        self.states.show_state("row")
        self.number.say(title)
        self._head.fit()
        self.edit.setEnabled(may_edit and row is not None)
        self.drop.setEnabled(may_edit)
        if example is not None:
            self.conversation.show_example(example)
            self._waiting.start()
        else:
            self.conversation.show_raw(row, problem)
            self.show_seen(SeenRow(problem=problem))

    def show_unread(self, row: Mapping[str, Any], why: str) -> None:
        """Show the first row as it stands in the file, while nobody knows how to read it."""
        self.states.show_state("row")
        self.number.say("The first row")
        self._head.fit()
        self.edit.setEnabled(False)
        self.drop.setEnabled(False)
        self.conversation.show_raw(row)
        self.show_note(why)

    def show_seen(self, seen: SeenRow) -> None:
        """Show the tokens."""
        self._waiting.stop()
        self._show_tokens(seen)

    def show_note(self, text: str) -> None:
        """Say why there are no tokens."""
        self._waiting.stop()
        self.counts.hide()
        self.problem.hide()
        self.note.say(text)
        self.token_states.show_state("note")

    def toggle_form(self) -> None:
        """Tokens or text."""
        self.form.set_chosen("text" if self.form.chosen_key() == "tokens" else "tokens")
        self._on_form(self.form.chosen_key())

    def _show_tokens(self, seen: SeenRow) -> None:
        self.counts.setVisible(bool(seen.tokens))
        self.counts.say(seen.trained, seen.read, seen.cut)
        has_reason = bool(seen.problem and seen.tokens)
        self.problem.setVisible(has_reason)
        self.problem.say(f"Nothing is learned from this row: it {seen.problem}." if has_reason else "")
        if seen.tokens:
            self.tokens.show_tokens(seen.tokens)
            self.token_states.show_state("tokens")
        else:
            self.show_note(f"Nothing is learned from this row: it {seen.problem}.")

    def _show_waiting(self) -> None:
        self.counts.hide()
        self.problem.hide()
        self.token_states.show_state("busy")

    def _on_form(self, key: str) -> None:
        self.tokens.set_gaps(key == "tokens")


class _Head(QWidget):
    """A row's number and what can be done with it, told by icons and tool tips where there is no room for words."""

    def __init__(self, number: Elided, *buttons: Button) -> None:
        super().__init__()
        self._number, self._words = number, {button: button.text() for button in buttons}
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(number, 1)
        for button in buttons:
            button.setAccessibleName(button.text())
            self._row.addWidget(button)

    def fit(self) -> None:
        """Words or icons."""
        needed = self._number.fontMetrics().horizontalAdvance(self._number.text()) + 1
        for button, words in self._words.items():
            button.setText(words)
            needed += max(0, self._row.spacing()) + button.sizeHint().width()
        is_tight = needed > self.width()
        for button, words in self._words.items():
            button.setText("" if is_tight else words)
            button.setToolTip(words if is_tight else "")
            button.updateGeometry()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()


class Counts(QWidget):
    """How many tokens are learned, read only and cut off, each with the sample of its drawing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self._words: dict[str, tuple[QWidget, Elided]] = {}
        for kind in _SAMPLES:
            sample, words = _Sample(kind), Elided("", "small", "text2")
            words.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            layout.addWidget(sample)
            layout.addWidget(words)
            layout.addSpacing(6)
            self._words[kind] = (sample, words)
        layout.addStretch(1)

    def say(self, trained: int, read: int, cut: int) -> None:
        """Show the three counts; they add up to the row."""
        for kind, amount in (("trained", trained), ("read", read), ("cut", cut)):
            sample, words = self._words[kind]
            words.say(f"{figures.count(amount)} {_SAMPLES[kind]}")
            for part in (sample, words):
                part.setVisible(bool(amount) or kind != "cut")
        self.setAccessibleName(f"{trained:,} trained, {read:,} read only, {cut:,} cut off")


class _Sample(QWidget):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(13, 13)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        box = QRectF(self.rect())
        if self._kind == "trained":
            fill_box(painter, box, RADIUS_TOKEN, t.accent_soft)
            painter.fillRect(QRectF(0, box.bottom() - 2, box.width(), 2), t.accent)
        elif self._kind == "cut":
            fill_box(painter, box, RADIUS_TOKEN, t.danger_soft)
            painter.fillRect(QRectF(1, box.center().y() - 0.75, box.width() - 2, 1.5), t.danger)
        else:
            edge_box(painter, box, RADIUS_TOKEN + 1, mixed(t.border, t.strong, 0.7))


def _side() -> tuple[QWidget, QVBoxLayout]:
    box = QWidget()
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(17, 13, 14, 10)
    layout.setSpacing(7)
    return box, layout
