"""The verdict in a line: a word, a sentence, what to do, and how far the run is."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QWidget

from studio.gui import figures
from studio.gui.controls import Button, Card, Progress, Text
from studio.gui.controls.painting import antialiased
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import icon_size, theme, tokens
from studio.gui.train_page.progress_words import row_words
from studio.project.curves import RunCurves
from studio.project.health import Verdict
from studio.spec.run_spec import RunSpec

_ONE_LINE = 800  # the width for it, at the usual size of text
_ICONS = {"good": Icon.CHECK_CIRCLE, "neutral": Icon.INFO, "warn": Icon.WARNING, "danger": Icon.ERROR}
_TONES = {"good": "accent_text", "neutral": "text2", "warn": "warn", "danger": "danger"}
_ACTIONS = {"stop": "Stop and keep", "pause": "Pause", "settings": "Change settings", "log": "Look at the log"}


class Glyph(QWidget):
    """An icon in a tone, as part of a text."""

    def __init__(self, icon: Icon, tone: str = "text2", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon, self._tone = icon, tone
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_icon(self, icon: Icon, tone: str) -> None:
        """Show another."""
        self._icon, self._tone = icon, tone
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(icon_size(18), icon_size(18))

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_icon(antialiased(self), self._icon, QRectF(self.rect()), getattr(tokens(), self._tone), icon_size())


class HealthCard(Card):
    """How the run is doing.

    Signals:
        advised(str): the person follows the advice (see `health.Advice`).
    """

    advised = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(padding=16, spacing=0, parent=parent)
        self._advice = ""
        self.setAccessibleName("Health")
        self._glyph = Glyph(Icon.INFO)
        self._word = Text("", "item", "text2")
        self._sentence = Text("", "body", wrap=True)
        self._button = Button("", compact=True)
        self._amount = Text("", "small", "text2")
        self._bar = Progress(name="Steps done")
        self._bar.setFixedWidth(150)
        self._share = Text("", "small_strong")
        self._share.setMinimumWidth(38)
        self._share.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._lay_out()
        self._button.clicked.connect(lambda: self.advised.emit(self._advice))

    def _lay_out(self) -> None:
        words, far = QHBoxLayout(), QHBoxLayout()
        for row in (words, far):
            row.setSpacing(8)
        words.addWidget(self._glyph)
        words.addWidget(self._word)
        words.addWidget(self._sentence, 1)
        far.addStretch(1)
        for widget in (self._button, self._amount, self._bar, self._share):
            far.addWidget(widget)
        self._halves = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._halves.addLayout(words, 1)
        self._halves.addLayout(far)
        self.body.addLayout(self._halves)
        theme().changed.connect(self._fit)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """How far it is stands beside the sentence, or below it where that would be a thin column."""
        is_narrow = self.width() < _ONE_LINE * theme().scale
        self._halves.setDirection(QBoxLayout.Direction.TopToBottom if is_narrow else QBoxLayout.Direction.LeftToRight)
        self._halves.setSpacing(10 if is_narrow else 16)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), max(44, super().sizeHint().height()))

    def show_verdict(self, verdict: Verdict) -> None:
        """Say how it is doing."""
        tone = _TONES[verdict.tone]
        self._glyph.set_icon(_ICONS[verdict.tone], tone)
        self._word.say(verdict.word, tone)  # type: ignore[arg-type]
        self._sentence.say(f"{verdict.sentence} {verdict.hint}".rstrip())
        self._advice = verdict.advice
        self._button.setText(_ACTIONS.get(verdict.advice, ""))
        self._button.updateGeometry()
        self._button.setVisible(verdict.advice in _ACTIONS)
        self.setAccessibleDescription(f"{verdict.word} {verdict.sentence} {verdict.hint}")

    def show_progress(self, curves: RunCurves, spec: RunSpec | None) -> None:
        """Say how far it is: by steps, and by rows in the tool tip."""
        rows = row_words(curves, spec)
        for widget in (self._amount, self._bar, self._share):
            widget.setToolTip(rows)
        if not curves.total:
            self._amount.say("")
            self._share.say("")
            self._bar.set_share(None)
            return
        share = curves.step / curves.total
        self._amount.say(f"step {figures.count(curves.step)} of {figures.count(curves.total)}")
        self._bar.set_share(share)
        self._share.say(figures.share(share))
