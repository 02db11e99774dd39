"""How answers are drawn, as a form read from the declaration; the system prompt; the way to the exact prompt."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from pydantic import ValidationError
from PySide6.QtCore import QRectF, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QSlider, QVBoxLayout, QWidget

from studio.gui.controls import Badge, Button, Card, Hairline, ScrollColumn, Switch, Text, TextBox
from studio.gui.controls.bars import track_colour
from studio.gui.controls.painting import KeyboardFocus, antialiased, edge_box, fill_box
from studio.gui.forms.editors import Editor, editor_for
from studio.gui.icons import Icon
from studio.gui.theme import theme, tokens
from studio.gui.tokens import COMPACT_HEIGHT
from studio.spec.fields import FieldFacts, describe
from studio.spec.sampling import Sampling

_STEPS = 200
_SPAN = 3  # a slider ends at thrice the default where the declaration sets no closer end
_EDITOR_WIDTH = 80


class _Slider(KeyboardFocus, QSlider):
    def __init__(self, name: str) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(0, _STEPS)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedHeight(18)

    def wheelEvent(self, event: Any) -> None:
        event.ignore()  # scrolling must not change a setting that passes under the pointer

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        middle, room = self.height() / 2, self.width() - 18
        fill_box(painter, _bar(9, room, middle), 2, track_colour())
        knob = 9 + room * self.value() / _STEPS
        fill_box(painter, _bar(9, knob - 9, middle), 2, t.accent)
        box = _bar(knob - 7, 14, middle).adjusted(0, -5, 0, 5)
        fill_box(painter, box, 7, t.text if t.is_dark else t.surface)
        edge_box(painter, box, 7, t.accent, 2)
        if self.shows_focus:
            edge_box(painter, box.adjusted(-3, -3, 3, 3), 10, t.accent, 1.5)


def _bar(left: float, width: float, middle: float) -> QRectF:
    return QRectF(left, middle - 2, max(0.0, width), 4)


class SettingRow(QWidget):
    """A setting: its title, its value, and where it is a range a slider.

    Signals:
        edited(str, object): name and value.
    """

    edited = Signal(str, object)

    def __init__(self, facts: FieldFacts) -> None:
        super().__init__()
        self.facts = facts
        self.editor: Editor = editor_for(dataclasses.replace(facts, unit=""))  # too narrow; the help names it
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        line = QHBoxLayout()
        line.addWidget(Text(facts.title, "body_strong"), 1)
        line.addWidget(self.editor)
        column.addLayout(line)
        self._range = slider_range(facts)
        self.slider = _Slider(facts.title) if self._range else None
        if self.slider is not None:
            column.addWidget(self.slider)
            self.slider.valueChanged.connect(self._on_slid)
        self.help = Text(facts.help, "small", "text3", wrap=True)
        column.addWidget(self.help)
        self.editor.edited.connect(self._on_edited)
        self._fit()
        theme().changed.connect(self._fit)

    def _fit(self) -> None:
        scale = max(1.0, theme().scale)
        width, height = round(_EDITOR_WIDTH * scale), round(COMPACT_HEIGHT * scale)
        self.editor.setFixedWidth(width)
        for inner in self.editor.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly):
            inner.setFixedSize(width, height)

    def set_value(self, value: Any) -> None:
        """Show a value, silently."""
        self.editor.set_value(value)
        if self.slider is not None and self._range is not None:
            low, high = self._range
            with QSignalBlocker(self.slider):
                self.slider.setValue(round(_STEPS * (min(high, max(low, value)) - low) / (high - low)))
            self.slider.update()

    def say_problem(self, sentence: str) -> None:
        """What is wrong with what was written; "" nothing."""
        self.help.say(sentence or self.facts.help, "danger" if sentence else "text3")
        self.editor.set_wrong(bool(sentence))

    def _on_slid(self, position: int) -> None:
        assert self._range is not None
        low, high = self._range
        value = low + (high - low) * position / _STEPS
        chosen: float = round(value) if self.facts.kind == "whole" else round(value, 2)
        if self.facts.excludes_low and self.facts.low is not None and chosen <= self.facts.low:
            chosen = round(low + (high - low) / _STEPS, 2)
        elif self.facts.low is not None:
            chosen = max(chosen, self.facts.low if self.facts.kind == "decimal" else int(self.facts.low))
        self.editor.set_value(chosen)
        self.edited.emit(self.facts.name, chosen)

    def _on_edited(self, value: Any) -> None:
        self.edited.emit(self.facts.name, value)


def slider_range(facts: FieldFacts) -> tuple[float, float] | None:
    """From the least value to the most, or to thrice the default where that is nearer; None for what is no range."""
    if facts.kind not in ("whole", "decimal") or facts.is_optional or facts.low is None or facts.default is None:
        return None
    far = max(1.0, _SPAN * facts.default)
    return (facts.low if math.isfinite(facts.low) else 0.0), min(facts.high if facts.high is not None else far, far)


class SamplingCard(Card):
    """The card.

    Attributes:
        system: the system prompt's field.

    Signals:
        sampling_changed(object): a valid Sampling.
        same_seed_changed(bool)
        system_changed(str)
        prompt_wanted(): the exact prompt is asked for.
    """

    sampling_changed = Signal(object)
    same_seed_changed = Signal(bool)
    system_changed = Signal(str)
    prompt_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Sampling", padding=16)
        self._values: dict[str, Any] = Sampling().model_dump()
        self.reset = Button("Reset", "quiet", compact=True)
        self.header.addWidget(self.reset)
        self.rows = {facts.name: SettingRow(facts) for facts in describe(Sampling)}
        self.same_seed = Switch("Same seed for both")
        self.same_seed.setChecked(True)
        self.system = TextBox("What the models are told first", name="System prompt", lines=3)
        self.from_data = Badge("From your data")
        self.prompt = Button("Show the exact prompt", "quiet", icon=Icon.CODE, compact=True)
        self.more = Button("", "quiet", icon=Icon.CARET_RIGHT, compact=True)
        self._ideas_system = ""
        self._lay_out()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(250)
        self._connect()
        self._show()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)

    def suggest_system(self, text: str) -> None:
        """The system prompt that the data is written with; taken where none is written yet."""
        self._ideas_system = text
        if text and not self.system.toPlainText():
            self.set_system(text)
        self._mark_system()

    def set_system(self, text: str) -> None:
        """Show a system prompt, and tell of it at once."""
        if text != self.system.toPlainText():
            self.system.setPlainText(text)
        self._pause.stop()
        self.system_changed.emit(text)

    def _lay_out(self) -> None:
        scroll = ScrollColumn(spacing=8, margins=(0, 0, 10, 0))
        self._folded = QWidget()
        folded = QVBoxLayout(self._folded)
        folded.setContentsMargins(0, 0, 0, 0)
        folded.setSpacing(10)
        for row in self.rows.values():
            (folded if row.facts.is_advanced else scroll.column).addWidget(row)
        self.more.setText(f"Advanced ({folded.count()})")
        self.more.setCheckable(True)
        self._folded.hide()
        scroll.column.addWidget(Hairline())
        scroll.column.addLayout(self._seed_row())
        scroll.column.addWidget(Hairline())
        scroll.column.addWidget(Text("System prompt", "body_strong"))
        scroll.column.addWidget(self.system)
        scroll.column.addWidget(self.from_data, 0, Qt.AlignmentFlag.AlignLeft)
        scroll.column.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        scroll.column.addWidget(self._folded)
        scroll.column.addStretch(1)
        self.body.addWidget(scroll, 1)
        self.body.addWidget(self.prompt, 0, Qt.AlignmentFlag.AlignLeft)

    def _seed_row(self) -> QHBoxLayout:
        row, words = QHBoxLayout(), QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(Text("Same seed for both", "body_strong"))
        words.addWidget(Text("A fair comparison.", "small", "text3"))
        row.addLayout(words, 1)
        row.addWidget(self.same_seed)
        return row

    def _connect(self) -> None:
        for row in self.rows.values():
            row.edited.connect(self._on_edited)
        self.reset.clicked.connect(self._on_reset)
        self.more.toggled.connect(self._on_more)
        self.same_seed.toggled.connect(self.same_seed_changed)
        self.prompt.clicked.connect(self.prompt_wanted)
        self.system.textChanged.connect(self._on_system)
        self._pause.timeout.connect(lambda: self.system_changed.emit(self.system.toPlainText()))

    def _show(self) -> None:
        for name, row in self.rows.items():
            row.set_value(self._values[name])
            row.say_problem("")

    def _on_edited(self, name: str, value: Any) -> None:
        if value is not None and self.rows[name].facts.kind == "whole":
            value = _whole(value)
        try:
            made = Sampling.model_validate({**self._values, name: value})
        except ValidationError as error:
            self.rows[name].say_problem(error.errors()[0]["msg"])
            return
        self._values = made.model_dump()
        self.rows[name].set_value(self._values[name])
        self.rows[name].say_problem("")
        self.sampling_changed.emit(made)

    def _on_reset(self) -> None:
        self._values = Sampling().model_dump()
        self._show()
        self.sampling_changed.emit(Sampling())

    def _on_more(self, is_open: bool) -> None:
        self._folded.setVisible(is_open)
        self.more.set_glyph(Icon.CARET_DOWN if is_open else Icon.CARET_RIGHT)

    def _on_system(self) -> None:
        self._pause.start()
        self._mark_system()

    def _mark_system(self) -> None:
        text = self.system.toPlainText().strip()
        self.from_data.setVisible(bool(text) and text == self._ideas_system.strip())


def _whole(value: Any) -> Any:
    """Text of a whole number as one; anything else is left for the check to refuse."""
    try:
        return int(str(value).replace(",", ""))
    except ValueError:
        return value
