"""This computer: what is free of card, memory and disk, and how large a model can be tuned with that."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls import Card, Elided, Hairline, Progress, ScrollColumn, Text
from studio.gui.controls.painting import antialiased
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import icon_size, theme, tokens
from studio.machine.resources import Gpu, Resources
from studio.planner.rough import fits_here

_SIZES = (70, 32, 14, 8, 4, 3, 1.7, 0.6)  # billions of weights of the models people tune


class _Glyph(QWidget):
    def __init__(self, icon: Icon) -> None:
        super().__init__()
        self._icon = icon
        self._fit()
        theme().changed.connect(self._fit)

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_icon(antialiased(self), self._icon, QRectF(self.rect()), tokens().text3, icon_size())

    def _fit(self) -> None:
        self.setFixedSize(icon_size(18), icon_size(18))


class _Part(QWidget):
    """One thing this computer has: name, what is free, a bar of what is used, and a line below."""

    def __init__(self, icon: Icon, name: str) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(4)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(_Glyph(icon))
        self.name = Elided(name, "body_strong")
        self.name.setMinimumWidth(self.name.fontMetrics().horizontalAdvance(name) + 4)
        head.addWidget(self.name, 1)
        self.amount = Elided("", "small", "text2")
        self.amount.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._short = self._whole = ""
        head.addWidget(self.amount)
        layout.addLayout(head)
        self.bar = Progress(name=name, tone="text2")
        layout.addWidget(self.bar)
        self.line = Elided("", "small", "text3")
        layout.addWidget(self.line)

    def say(self, free: float, total: float, line: str = "", name: str = "") -> None:
        """What is free of how much."""
        if name:
            self.name.say(name)
        self._whole = f"{figures.plain_gigabytes(free)} of {figures.plain_gigabytes(total)} GB free"
        self._short = f"{figures.plain_gigabytes(free)} GB free"
        self.amount.setToolTip(self._whole)
        self._fit()
        self.bar.set_share(1 - free / total)
        self.line.say(line)
        self.line.setVisible(bool(line))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.width() - icon_size(18) - self.name.minimumWidth() - 16
        fits = self.amount.fontMetrics().horizontalAdvance(self._whole) < room
        self.amount.say(self._whole if fits else self._short)


class Computer(Card):
    """The card."""

    def __init__(self, context: Context) -> None:
        super().__init__("This computer", spacing=8)
        self._context = context
        self._gpu, self._ram, self._disk = (
            _Part(Icon.CARD, "Card"),
            _Part(Icon.MEMORY, "RAM"),
            _Part(Icon.DISK, "Disk"),
        )
        self._none = Text("No graphics card for training: all runs on the processor.", "small", "text2", wrap=True)
        self._line, self._can = Hairline(), QWidget()
        self._size, self._how = Text("", "body_strong"), Text("", "small", "text2", wrap=True)
        self._how.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._how.setToolTip("By the memory that is free now, with QLoRA and short rows. Method says it exactly.")
        self._lay_out_can()
        parts = ScrollColumn(spacing=8, margins=(0, 0, 0, 0))  # a low window with large text has no room for all
        for part in (self._gpu, self._none, self._ram, self._disk, self._line, self._can):
            part.hide()
            parts.column.addWidget(part)
        parts.column.addStretch(1)
        self.body.addWidget(parts)
        context.machine.changed.connect(self._refresh)
        self._refresh()

    def _lay_out_can(self) -> None:
        column = QVBoxLayout(self._can)
        column.setContentsMargins(0, 2, 0, 0)
        column.setSpacing(2)
        column.addWidget(Text("Can tune", "caption", "text3"))
        line = QHBoxLayout()
        line.addWidget(self._size)
        line.addWidget(self._how, 1)
        column.addLayout(line)

    def _refresh(self) -> None:
        now = self._context.machine.resources
        if now is None:
            return
        self._ram.show()
        self._disk.show()
        self._gpu.setVisible(bool(now.gpus))
        self._none.setVisible(not now.gpus)
        if now.gpus:
            self._show_gpu(now.gpus[0], len(now.gpus))
        self._ram.say(now.ram_free, now.ram_total, _processor(now))
        self._disk.say(now.disk_free, now.disk_total)
        largest = next((size for size in _SIZES if fits_here(round(size * 1e9), now)), None)
        self._line.setVisible(largest is not None)
        self._can.setVisible(largest is not None)
        self._size.say(f"up to {largest or 0:g}B")
        self._how.say("in 4 bits, on the card" if now.gpus else "in 4 bits, slowly")

    def _show_gpu(self, gpu: Gpu, count: int) -> None:
        facts = [f"{gpu.temperature:.0f} °C" if gpu.temperature is not None else ""]
        facts.append(f"{gpu.watts:.0f} of {gpu.watt_limit:.0f} W" if gpu.watts and gpu.watt_limit else "")
        facts.append(f"{count} cards" if count > 1 else "")
        name = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
        self._gpu.say(gpu.free_bytes, gpu.total_bytes, " · ".join(fact for fact in facts if fact), name)


def _processor(now: Resources) -> str:
    name = now.cpu_name.split("@")[0].replace("(R)", "").replace("(TM)", "").replace(" CPU", "").strip()
    return f"{now.cpu_cores} cores, {name}"
