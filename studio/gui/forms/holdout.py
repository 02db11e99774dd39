"""How many rows are held out: a share in percent, or a number of rows, in one field."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect, Signal
from PySide6.QtWidgets import QWidget

from studio.gui.controls import Field
from studio.gui.forms.editors import Editor
from studio.sizes import counted
from studio.spec.fields import FieldFacts


class HoldoutField(Field):
    """Takes "5 %", "5" (percent) or "200 rows".

    Signals:
        holdout_chosen(float): as `data.holdout` has it: a share below 1, or a number of rows.
    """

    holdout_chosen = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(name="Held out: percent, or a number of rows such as 200 rows", parent=parent)
        self.setToolTip('Rows to measure on, never learned from. A share such as "5 %", or "200 rows".')
        self.setFixedWidth(88)
        self._value = 0.0
        self.editingFinished.connect(self._on_finished)
        self.textEdited.connect(lambda _: self.set_wrong(False))

    def set_holdout(self, value: float) -> None:
        """Show a value, silently."""
        self._value = value
        self.set_wrong(False)
        self.setText(holdout_text(value))

    def _on_finished(self) -> None:
        value = parse_holdout(self.text())
        if value is None:
            self.set_wrong(True)
            return
        if value != self._value:
            self._value = value
            self.holdout_chosen.emit(value)
        self.setText(holdout_text(self._value))

    def minimumRect(self) -> QRect:
        """The least room it needs."""
        return QRect(0, 0, 60, self.sizeHint().height())


class HoldoutEditor(Editor):
    """The same field in a form."""

    def __init__(self, facts: FieldFacts) -> None:
        self.field = HoldoutField()
        super().__init__(self.field)
        self.field.holdout_chosen.connect(self.edited.emit)

    def set_value(self, value: Any) -> None:
        self.field.set_holdout(float(value))

    def set_wrong(self, wrong: bool) -> None:
        self.field.set_wrong(wrong)


def holdout_text(value: float) -> str:
    """ "5 %", or "200 rows"."""
    return f"{value * 100:.3g} %" if value < 1 else counted(value, "row")


def parse_holdout(text: str) -> float | None:
    """What was written, as `data.holdout`; None when it is neither a share below all nor a number of rows."""
    words = text.strip().lower().replace(",", "" if "row" in text else ".")
    is_rows = words.endswith(("rows", "row"))
    try:
        number = float(words.removesuffix("rows").removesuffix("row").removesuffix("%").strip())
    except ValueError:
        return None
    if is_rows:
        return number if number >= 1 and number == int(number) else None
    return number / 100 if 0 <= number < 100 else None
