"""One setting in a form: its title, a sentence of help, its editor, and in the help's place what is wrong with it."""

from __future__ import annotations

from html import escape
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.gui.controls import Text
from studio.gui.forms.editors import Editor, editor_for
from studio.sizes import human_number
from studio.spec.fields import FieldFacts
from studio.spec.words import in_words

_LONG = 60  # letters from which the help of a narrow row takes its whole width


class FieldRow(QWidget):
    """A row.

    Signals:
        edited(str, object): path and the value the person wrote.
    """

    edited = Signal(str, object)

    def __init__(
        self,
        facts: FieldFacts,
        *,
        editor: Editor | None = None,
        is_narrow: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make one.

        Args:
            editor: where a setting needs another one than its kind's.
            is_narrow: in a side column, where long help goes below the editor.
        """
        super().__init__(parent)
        self._is_narrow = is_narrow
        self.facts = facts
        self.editor = editor or editor_for(facts)
        self.problem = ""
        self._value: Any = None
        self.title = Text(facts.title, "body_strong", wrap=True)
        self.effect = Text("", "small_strong", "text2")
        self.help = Text(facts.help, "small", "text2", wrap=True)
        self._lay_out()
        self.setObjectName(facts.path)
        self.editor.setWhatsThis(_in_full(facts))
        self.editor.edited.connect(self._on_edited)

    def set_value(self, value: Any) -> None:
        """Show a value, silently. What was written wrongly stays until the value itself is another."""
        if self.problem and value == self._value:
            return
        self._value = value
        self.editor.set_value(value)
        self.clear_problem()

    def show_problem(self, sentence: str, *, is_fatal: bool = True) -> None:
        """Say what is wrong in the help's place."""
        sentence = in_words(sentence)
        self.problem = sentence if is_fatal else ""
        self.help.say(sentence, "danger" if is_fatal else "warn")
        self.editor.set_wrong(is_fatal)

    def clear_problem(self) -> None:
        """Show the help again."""
        self.problem = ""
        self.help.say(self.facts.help, "text2")
        self.editor.set_wrong(False)

    def show_effect(self, words: str) -> None:
        """What the last edit did to the memory that is needed."""
        self.effect.say(words)
        self.effect.setVisible(bool(words))

    def _lay_out(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 5, 0, 5)
        outer.setSpacing(2)
        line = QHBoxLayout()
        line.setSpacing(12)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self.title)
        line.addLayout(words, 1)
        line.addWidget(self.effect)
        line.addWidget(self.editor, 0, Qt.AlignmentFlag.AlignVCenter)
        outer.addLayout(line)
        (outer if self._is_narrow and len(self.facts.help) > _LONG else words).addWidget(self.help)
        self.effect.hide()

    def _on_edited(self, value: Any) -> None:
        self.problem = ""
        self.edited.emit(self.facts.path, value)


def _in_full(facts: FieldFacts) -> str:
    """What F1 says of it."""
    words = [f"<b>{escape(facts.title)}</b>", escape(facts.help)]
    if facts.choices:
        words.append("One of: " + escape(", ".join(facts.choices)))
    elif facts.low is not None and facts.high is not None:
        words.append(f"From {human_number(facts.low)} to {human_number(facts.high)} {facts.unit}".rstrip())
    if "." in facts.path:
        words.append(f"In files and commands: <code>{facts.path}</code>")
    return "<br>".join(words)
