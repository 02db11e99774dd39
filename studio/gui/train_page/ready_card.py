"""Getting ready: what is done, under way and to come, with amounts."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Button, Card, Elided, Progress, Text
from studio.gui.icons import Icon
from studio.gui.train_page.health_card import Glyph
from studio.project.curves import RunCurves
from studio.project.phases import PhaseRow
from studio.sizes import counted

_QUIET_SECONDS = 60.0
_BYTES = ("B", "bytes")


class _Row(QWidget):
    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        row = QHBoxLayout()
        row.setSpacing(10)
        self._glyph, self._name, self._amount = Glyph(Icon.CIRCLE), Elided(""), Text("", "small", "text2")
        for widget in (self._glyph, self._name, self._amount):
            row.addWidget(widget, 1 if widget is self._name else 0)
        column.addLayout(row)
        self._bar = Progress()
        column.addWidget(self._bar)

    def show_phase(self, row: PhaseRow) -> None:
        is_now, is_done = bool(row.started) and not row.ended, bool(row.ended)
        icon = Icon.CHECK_CIRCLE if is_done else Icon.SPINNER if is_now else Icon.CIRCLE
        self._glyph.set_icon(icon, "accent_text" if is_done or is_now else "text3")
        self._name.say(row.name, "text" if is_now else "text2" if is_done else "text3")
        self._amount.say(_amount(row))
        has_share = is_now and row.total > 0
        self._bar.setVisible(has_share)
        if has_share:
            self._bar.set_share(row.done / row.total)
        state = "done" if is_done else "under way" if is_now else "to come"
        self.setAccessibleName(f"{row.name}: {state} {self._amount.text()}".strip())


class ReadyCard(Card):
    """The phases before the first step."""

    def __init__(self, on_cancel: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__("Getting ready", spacing=12, parent=parent)
        self.setMaximumWidth(620)
        self._rows: list[_Row] = []
        cancel = Button("Cancel", "quiet", compact=True)
        cancel.clicked.connect(lambda: on_cancel())
        self.header.addWidget(cancel)
        self._note = Text("", "small", "text3", wrap=True)
        self.body.addWidget(self._note, 0, Qt.AlignmentFlag.AlignBottom)

    def show_curves(self, curves: RunCurves) -> None:
        """Show what the session is busy with."""
        phases = curves.phases.rows()
        while len(self._rows) < len(phases):
            row = _Row()
            self.body.insertWidget(len(self._rows), row)
            self._rows.append(row)
        for at, row in enumerate(self._rows):
            row.setVisible(at < len(phases))
            if at < len(phases):
                row.show_phase(phases[at])
        quiet = time.time() - curves.heard if curves.heard else 0.0
        if quiet > _QUIET_SECONDS:
            said = f"It has said nothing for {figures.duration(quiet)}. Wait, look at its log, or cancel."
            self._note.say(said, "warn")
        else:
            self._note.say("The window may be closed: training goes on without it.", "text3")


def _amount(row: PhaseRow) -> str:
    if row.unit == "steps" and not row.done:
        return counted(row.total, "step")
    if row.ended:
        took = row.ended - row.started
        amount = f"{_of(row.total or row.done, row.unit)}, " if row.total or row.done else ""
        return f"{amount}{figures.duration(took)}"
    if row.total:
        if row.unit in _BYTES:
            return figures.of_gigabytes(row.done, row.total)
        return f"{figures.count(row.done)} of {_of(row.total, row.unit)}"
    return _of(row.done, row.unit) if row.done else ""


def _of(value: float, unit: str) -> str:
    if unit in _BYTES:
        return figures.gigabytes(value)
    return f"{figures.count(value)} {unit}".rstrip()
