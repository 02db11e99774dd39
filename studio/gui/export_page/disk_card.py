"""The disk that the files go to: what is in use, what comes, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainterPath, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from studio.gui import figures
from studio.gui.controls import Button, Card, Text
from studio.gui.controls.bars import track_colour
from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.theme import font, tokens
from studio.gui.tokens import faded

Part = tuple[str, int]


class _DiskBar(QWidget):
    """In use, then one part a file, on the scale of the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._used = self._total = 0
        self._parts: Sequence[Part] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_disk(self, used: int, total: int, parts: Sequence[Part]) -> None:
        self._used, self._total, self._parts = used, total, parts
        words = ", ".join(f"{name} {figures.gigabytes(size)}" for name, size in parts)
        self.setAccessibleName(f"Disk: {figures.gigabytes(used)} of {figures.gigabytes(total)} in use; {words}")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, 12)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        track = QRectF(0, 1, self.width(), 10)
        clip = QPainterPath()
        clip.addRoundedRect(track, 2.5, 2.5)
        painter.setClipPath(clip)
        painter.fillRect(track, track_colour())
        scale = track.width() / max(1, self._total, self._used + sum(size for _, size in self._parts))
        left = self._used * scale
        painter.fillRect(QRectF(0, 1, left, 10), faded(t.text3, 0.6))
        for at, (_, size) in enumerate(self._parts):
            width = max(3.0, size * scale)
            painter.fillRect(QRectF(left + 1, 1, width - 1, 10), t.overlay[at % len(t.overlay)])
            left += width
        limit = self._total * scale
        if left > limit + 1:
            over = QRectF(limit, 1, left - limit, 10)
            painter.fillRect(over, t.danger)


class _Legend(QWidget):
    """Coloured squares with names and sizes."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[tuple[int, str]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def say(self, entries: list[tuple[int, str]]) -> None:
        self._entries = entries
        self.setAccessibleName(", ".join(words for _, words in entries))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, 18)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        painter.setFont(font("small"))
        left = 0.0
        for colour, words in self._entries:
            width = painter.fontMetrics().horizontalAdvance(words)
            if left + width + 16 > self.width():
                painter.setPen(t.text3)
                painter.drawText(QRectF(left, 0, 20, self.height()), Qt.AlignmentFlag.AlignVCenter, "…")
                return
            fill = faded(t.text3, 0.6) if colour < 0 else t.overlay[colour % len(t.overlay)]
            fill_box(painter, QRectF(left, 4, 10, 10), 3, fill)
            painter.setPen(t.text2)
            painter.drawText(QRectF(left + 16, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, words)
            left += width + 30


class DiskCard(Card):
    """The card.

    Attributes:
        missing: bytes that there is no room for.

    Signals:
        folder_wanted(): another folder is to be chosen.
    """

    folder_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Disk", spacing=5)
        self.missing = 0
        self.verdict = Text("", "body_strong")
        self.header.addWidget(self.verdict)
        self._bar, self._legend = _DiskBar(), _Legend()
        self.other = Button("Other folder…", "quiet", compact=True)
        self.other.clicked.connect(self.folder_wanted)
        self.body.addWidget(self._bar)
        foot = QHBoxLayout()
        foot.addWidget(self._legend, 1)
        foot.addWidget(self.other)
        self.body.addLayout(foot)

    def show_need(self, folder: Path, parts: Sequence[Part], free: int, total: int) -> None:
        """What would be written, and whether it fits."""
        needed = sum(size for _, size in parts)
        self.missing = max(0, needed - free) if total else 0
        if self.missing:
            self.verdict.say(
                f"{figures.gigabytes(self.missing)} missing: leave a type out or take another disk", "danger"
            )
        elif not total:
            self.verdict.say("…", "text2")
        else:
            self.verdict.say(f"{figures.gigabytes(needed)} needed, {figures.gigabytes(free)} free", "text")
        self._bar.show_disk(total - free, total, parts)
        used = [(-1, f"in use {figures.gigabytes(total - free)}")] if total else []
        self._legend.say([*used, *((at, f"{name} {figures.gigabytes(size)}") for at, (name, size) in enumerate(parts))])
        self.other.setToolTip(f"Now into {folder}. Files are written once, without a temporary copy.")
