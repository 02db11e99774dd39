"""One editor for each kind of value. `set_value` never emits; `edited` carries what was written, not yet checked."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from studio.gui.controls import Choice, Decimal, Field, Number, Segment, Switch
from studio.gui.theme import theme
from studio.spec.fields import FieldFacts, Kind

_FEW, _SHORT = 3, 24
_NUMBER_WIDTH, _TEXT_WIDTH = 132, 220
_HUGE = 1e15


class Editor(QWidget):
    """Base of all editors.

    Signals:
        edited(object): the value the person chose or wrote.
    """

    edited = Signal(object)

    def __init__(self, widget: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(widget)
        self.setFocusProxy(widget)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def set_value(self, value: Any) -> None:
        """Show a value, silently."""
        raise NotImplementedError

    def set_wrong(self, wrong: bool) -> None:
        """Show that what stands here cannot be used."""

    def _keep_width(self, widget: QWidget, width: int) -> None:
        """The same width in every row, and as much more as "Text size" asks."""
        self._kept = widget, width
        self._fit_width()
        theme().changed.connect(self._fit_width)

    def _fit_width(self) -> None:
        widget, width = self._kept
        widget.setFixedWidth(round(width * max(1.0, theme().scale)))


class SwitchEditor(Editor):
    """On or off."""

    def __init__(self, facts: FieldFacts) -> None:
        self._switch = Switch(facts.title)
        super().__init__(self._switch)
        self._switch.toggled.connect(self.edited.emit)

    def set_value(self, value: Any) -> None:
        with QSignalBlocker(self._switch):
            self._switch.setChecked(bool(value))
        self._switch.update()


class ChoiceEditor(Editor):
    """One of several: side by side when they are few and short, else in a list that opens."""

    def __init__(self, facts: FieldFacts, words: list[tuple[str, str]] | None = None) -> None:
        """Make one; `words` are (key, words) where the choices are not declared with the setting."""
        words = words or [(key, in_words(key)) for key in facts.choices]
        self._box: Segment | Choice
        if len(words) <= _FEW and sum(len(text) for _, text in words) <= _SHORT:
            self._box = Segment(words, name=facts.title)
        else:
            self._box = Choice(name=facts.title)
            for key, text in words:
                self._box.add(key, text)
        super().__init__(self._box)
        self._box.chosen.connect(self.edited.emit)

    def set_value(self, value: Any) -> None:
        self._box.set_chosen(str(value))


class _Whole(Number):
    """Steps stay within the bounds; what is typed may leave them, and is then refused in words."""

    def __init__(self, facts: FieldFacts) -> None:
        super().__init__(-(2**31) + 1, 2**31 - 1, unit=facts.unit, name=facts.title)
        self._facts = facts

    def stepBy(self, steps: int) -> None:
        self.setValue(round(_within(self._facts, self.value() + steps, 1)))


class _Fraction(Decimal):
    """The same for numbers with a fraction."""

    def __init__(self, facts: FieldFacts) -> None:
        super().__init__(-_HUGE, _HUGE, unit=facts.unit, name=facts.title)
        self._facts = facts

    def stepBy(self, steps: int) -> None:
        before = self.value()
        super().stepBy(steps)
        self.setValue(_within(self._facts, self.value(), abs(self.value() - before)))


class NumberEditor(Editor):
    """A number that must be said."""

    def __init__(self, facts: FieldFacts) -> None:
        self._box: Number | Decimal = _Whole(facts) if facts.kind == "whole" else _Fraction(facts)
        super().__init__(self._box)
        self._keep_width(self._box, _NUMBER_WIDTH)
        self._box.valueChanged.connect(self.edited.emit)

    def set_value(self, value: Any) -> None:
        with QSignalBlocker(self._box):
            self._box.setValue(value)

    def set_wrong(self, wrong: bool) -> None:
        self._box.set_wrong(wrong)


class TextEditor(Editor):
    """Text, a list, a table, or a number that may be left open: written into one line."""

    def __init__(self, facts: FieldFacts) -> None:
        self._kind: Kind = facts.kind
        self._choices, self._is_optional = facts.choices, facts.is_optional
        self.field = Field("automatic" if facts.is_optional else "", unit=facts.unit, name=facts.title)
        super().__init__(self.field)
        self._keep_width(self.field, _NUMBER_WIDTH if facts.is_optional else _TEXT_WIDTH)
        self._shown: Any = None
        self.field.editingFinished.connect(self._on_finished)

    def set_value(self, value: Any) -> None:
        self._shown = value
        with QSignalBlocker(self.field):
            self.field.setText(as_text(value))

    def set_wrong(self, wrong: bool) -> None:
        self.field.set_wrong(wrong)

    def set_hint(self, words: str) -> None:
        """What an empty field stands for."""
        self.field.setPlaceholderText(words)

    def _on_finished(self) -> None:
        value = self._read(self.field.text().strip())
        # Leaving a field in which nothing was written is no edit.
        if value != self._shown and as_text(value) != as_text(self._shown):
            self._shown = value
            self.edited.emit(value)

    def _read(self, text: str) -> Any:
        if self._is_optional and not text:
            return None
        if self._kind == "list":
            return text if text in self._choices else [part.strip() for part in text.split(",") if part.strip()]
        if self._kind in ("whole", "decimal"):
            return text.replace("−", "-")  # as the window itself writes figures
        if self._kind == "table":
            pairs = (part.partition(":") for part in text.split(",") if part.strip())
            return {name.strip(): value.strip() for name, _, value in pairs}
        return text


def editor_for(facts: FieldFacts) -> Editor:
    """The editor that suits a setting."""
    if facts.kind == "switch":
        return SwitchEditor(facts)
    if facts.kind == "choice":
        return ChoiceEditor(facts)
    if facts.kind in ("whole", "decimal") and not facts.is_optional:
        return NumberEditor(facts)
    return TextEditor(facts)


def as_text(value: Any) -> str:
    """A value as one line that can be read back."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {entry}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def in_words(key: str) -> str:
    """'last_answer' -> 'Last answer'; names such as 'bf16' stay what they are."""
    return key if any(letter.isdigit() for letter in key) else key.replace("_", " ").capitalize()


def _within(facts: FieldFacts, value: float, step: float) -> float:
    """A value moved into a setting's bounds; a bound that is not allowed itself is kept off by a step."""
    low = None if facts.low is None else facts.low + (step if facts.excludes_low else 0)
    high = None if facts.high is None else facts.high - (step if facts.excludes_high else 0)
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else value
