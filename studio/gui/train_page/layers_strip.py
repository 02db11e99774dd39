"""Which layers are trained right now, where a method trains some at a time: one cell a layer, first to last."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls import Elided, Text
from studio.gui.controls.bars import track_colour
from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.theme import tokens
from studio.protocol import events

_GAP = 2.0


class _Cells(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self._active: set[int] = set()
        self._seen: set[int] = set()
        self._total = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_layers(self, active: list[int], seen: list[int], total: int) -> None:
        self._active, self._seen, self._total = set(active), set(seen), total
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(80, 12)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._total:
            return
        painter, t = antialiased(self), tokens()
        pitch = self.width() / self._total
        for layer in range(self._total):
            box = QRectF(layer * pitch, 1, max(1.0, pitch - min(_GAP, pitch / 3)), self.height() - 2)
            rest = t.accent_soft if layer in self._seen else track_colour()
            fill_box(painter, box, 2, t.accent if layer in self._active else rest)


class LayersStrip(QWidget):
    """Shown only for runs whose method chooses layers."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(Text("Layers in training", "small", "text2"))
        self._words = Elided("", "small_strong")
        self._words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self._words, 1)
        column.addLayout(head)
        self._cells = _Cells()
        column.addWidget(self._cells)
        self.hide()

    def show_layers(self, layers: events.Layers | None) -> None:
        """The newest choice; None where all are trained."""
        self.setVisible(layers is not None)
        if layers is None:
            return
        others = " and embeddings" if layers.others else ""
        self._words.say(f"{len(layers.active)} of {layers.total}{others}")
        seen = [layer for layer, turns in enumerate(layers.turns) if turns]
        self._cells.set_layers(layers.active, seen, layers.total)
        numbers = ", ".join(str(layer + 1) for layer in sorted(layers.active))
        so_far = f". {len(seen)} of {layers.total} have had a turn so far" if seen else ""
        self.setToolTip(f"Since step {layers.step:,}: layers {numbers}{others}{so_far}")
        self.setAccessibleName(f"Layers in training: {numbers} of {layers.total}{others}")
