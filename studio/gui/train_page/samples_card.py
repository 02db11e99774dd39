"""Sample answers as a timeline: one question, its answers newest first, "Before" last."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QMouseEvent, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Card, IconButton, ScrollColumn, Text
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.icons import Icon
from studio.gui.theme import tokens
from studio.gui.tokens import RADIUS_BOX
from studio.gui.train_page.clamped import Clamped
from studio.project.curves import RunCurves
from studio.protocol import events

_MOST_ENTRIES = 40
_LEAST_HEIGHT = 90


class _Quote(QWidget):
    """The question, in an inset box."""

    def __init__(self, text: str) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 8)
        column.addWidget(Clamped(text, "small_strong", lines=4))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        fill_box(painter, QRectF(self.rect()), RADIUS_BOX, tokens().inset)
        edge_box(painter, QRectF(self.rect()), RADIUS_BOX, tokens().border)


class _Answer(QWidget):
    """One answer, with its dot on the line of time."""

    def __init__(self, sample: events.Sample, loss: float | None, *, is_newest: bool, is_last: bool) -> None:
        super().__init__()
        self._is_newest, self._is_last = is_newest, is_last
        self._is_open = False
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 0, 0, 8)
        column.setSpacing(2)
        head = QHBoxLayout()
        title = f"Step {figures.count(sample.step)}" if sample.step else "Before"
        head.addWidget(Text(title, "small_strong", "accent_text" if is_newest else "text2"))
        head.addStretch(1)
        if loss is not None:
            held = Text(figures.loss(loss), "small", "text3")
            held.setToolTip("Held-out loss at this step")
            head.addWidget(held)
        column.addLayout(head)
        self._words = Clamped(sample.text, "small", "text" if is_newest else "text2", lines=5 if is_newest else 3)
        self._lines = 5 if is_newest else 3
        column.addWidget(self._words)
        self.setAccessibleName(f"{title}: {sample.text}")

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._is_open = not self._is_open
        self._words.set_lines(200 if self._is_open else self._lines)

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter = tokens(), antialiased(self)
        if not self._is_last:
            painter.fillRect(QRectF(4.5, 14, 1, self.height() - 14), t.border)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.accent if self._is_newest else t.strong)
        painter.drawEllipse(QRectF(1, 5, 8, 8))


class SamplesCard(Card):
    """The answers of one run."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Sample answers", padding=16, spacing=8, parent=parent)
        self._prompts: list[str] = []
        self._at = 0
        self._shown: tuple[object, ...] = ()
        self._curves = RunCurves()
        self._only_step: int | None = None
        self._count = Text("", "small", "text3")
        self._next = IconButton(Icon.CARET_RIGHT, "Next question")
        self._all = IconButton(Icon.CLOSE, "Answers of all steps")
        for widget in (self._all, self._count, self._next):
            self.header.addWidget(widget)
        self._column = ScrollColumn(spacing=4)
        self._column.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)  # it takes what is left
        self._column.setMinimumHeight(_LEAST_HEIGHT)
        self.body.addWidget(self._column, 1)
        self._next.clicked.connect(self._on_next)
        self._all.clicked.connect(lambda: self.show_step(None))

    def show_curves(self, curves: RunCurves) -> None:
        """Show a run as it stands."""
        self._curves = curves
        self._prompts = curves.prompts()
        self._at = min(self._at, max(0, len(self._prompts) - 1))
        self._refresh()

    def show_step(self, step: int | None) -> None:
        """Only the answers up to a step, None for all."""
        self._only_step = step
        self._refresh()

    def _on_next(self) -> None:
        self._at = (self._at + 1) % max(1, len(self._prompts))
        self._refresh()

    def _refresh(self) -> None:
        num = len(self._prompts)
        self._count.say(f"{self._at + 1} of {num}" if num > 1 else "")
        self._next.setVisible(num > 1)
        self._all.setVisible(self._only_step is not None)
        curves = self._curves
        num_told = len(curves.samples), len(curves.evals)
        key = (num, self._at, *num_told, self._only_step, id(curves), curves.step > 0)
        if key != self._shown:
            self._shown = key
            self._rebuild()

    def _rebuild(self) -> None:
        column = self._column.column
        while (item := column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        if not self._prompts:
            words = "The first answers come before the first step."
            if self._curves.step:
                words = "This run gives no sample answers."
            column.addWidget(Text(words, "small", "text3", wrap=True))
            column.addStretch(1)
            return
        prompt = self._prompts[self._at]
        column.addWidget(_Quote(prompt))
        column.addSpacing(4)
        answers = [
            one for one in self._curves.answers(prompt) if self._only_step is None or one.step <= self._only_step
        ]
        for at, sample in enumerate(answers[:_MOST_ENTRIES]):
            is_last = at == min(len(answers), _MOST_ENTRIES) - 1
            loss = self._curves.eval_at(sample.step)
            column.addWidget(_Answer(sample, loss, is_newest=at == 0, is_last=is_last))
        column.addStretch(1)
