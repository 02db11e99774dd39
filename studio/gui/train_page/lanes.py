"""Small curves with their newest figure: learning rate, gradient norm, speed, RAM, disk."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Card, Spark, Text
from studio.gui.train_page.layers_strip import LayersStrip
from studio.project.columns import Array, Columns
from studio.project.curves import RunCurves

_POINTS = 70
# Name, colour of the curve (memory kinds' colours keep them apart), tool tip.
_LANES = (
    ("Learning rate", "optimizer", "How far each step goes"),
    ("Gradient norm", "gradients", "How strongly the step pulls; jumps announce trouble"),
    ("Tokens/s", "accent", "Speed of each step"),
    ("RAM", "weights", "Of the training process"),
    ("Disk read", "cache", "Of the training process"),
    ("Disk written", "activations", "Of the training process; checkpoints are the peaks"),
    ("Waiting for disk", "other", "Share of each step in which it could only wait for weights from the drive"),
)
_ONLY_STREAMED = "Waiting for disk"


class LanesCard(Card):
    """The lanes of one run."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Speed and machine", padding=16, spacing=6, parent=parent)
        self._captions: dict[str, Text] = {}
        self._values: dict[str, Text] = {}
        self._sparks: dict[str, Spark] = {}
        self._layers = LayersStrip()
        self.body.addWidget(self._layers)
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(2, 1)
        for row, (name, tone, tip) in enumerate(_LANES):
            caption, value, spark = Text(name, "small", "text2"), Text("", "small_strong"), Spark(tone=tone, fills=True)
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            value.setMinimumWidth(66)
            caption.setToolTip(tip)
            for column, widget in enumerate((caption, value, spark)):
                grid.addWidget(widget, row, column)
            self._captions[name], self._values[name], self._sparks[name] = caption, value, spark
        self._show_waiting(False)
        self.body.addLayout(grid)
        self.body.addStretch(1)

    def show_curves(self, curves: RunCurves) -> None:
        """Draw them as they stand."""
        steps, memory = curves.steps, curves.memory
        self._layers.show_layers(curves.layers[-1] if curves.layers else None)
        self._show("Learning rate", steps["learning_rate"], figures.rate)
        self._show("Gradient norm", steps["grad_norm"], lambda norm: f"{norm:.3g}")
        self._show("Tokens/s", _per_second(steps, "tokens"), figures.count)
        self._show("RAM", memory["ram_all"], figures.gigabytes)
        self._show("Disk read", memory["read"], _rate)
        self._show("Disk written", memory["written"], _rate)
        is_streamed = bool(steps["waited"].any())
        self._show_waiting(is_streamed)
        if is_streamed:
            self._show(_ONLY_STREAMED, _per_second(steps, "waited"), figures.share)

    def _show_waiting(self, is_streamed: bool) -> None:
        """A lane that says nothing of a run whose weights lie in memory."""
        for widget in (self._captions[_ONLY_STREAMED], self._values[_ONLY_STREAMED], self._sparks[_ONLY_STREAMED]):
            widget.setVisible(is_streamed)

    def _show(self, name: str, values: Array, words: object) -> None:
        is_known = np.isfinite(values)
        known = values if is_known.all() else values[is_known]
        text = words(float(known[-1])) if len(known) else "–"  # type: ignore[operator]
        self._values[name].say(text)
        self._sparks[name].set_values(_thinned(known).tolist())
        self._sparks[name].setAccessibleName(f"{name}: {text}")


def _per_second(steps: Columns, name: str) -> Array:
    """(steps,) what each step did a second; not a number where nobody timed it."""
    seconds = steps["seconds"]
    each: Array = np.divide(steps[name], seconds, out=np.full(len(steps), np.nan), where=seconds > 0)
    return each


def _thinned(values: Array) -> Array:
    """At most `_POINTS` values: the highest of each interval, since peaks are what matters here."""
    if len(values) <= _POINTS:
        return values
    starts = np.linspace(0, len(values), _POINTS, endpoint=False).astype(int)
    return np.maximum.reduceat(values, starts)


def _rate(size: float) -> str:
    return f"{figures.gigabytes(size)}/s" if size >= 5e4 else "0 MB/s"
