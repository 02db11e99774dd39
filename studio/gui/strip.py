"""The status strip across the window: the running job at the left, what this computer has free at the right."""

from __future__ import annotations

import math

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QWidget

from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls.bars import track_colour
from studio.gui.controls.painting import KeyboardFocus, antialiased, fill_box, focus_ring
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import STRIP_HEIGHT


class _JobLine(KeyboardFocus, QAbstractButton):
    """The running job: word, step, bar, time left. A click leads to it."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: tuple[str, str, float | None, str] = ("Nothing is running", "", None, "")
        self._is_running = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(120)

    def say(self, word: str, step: str = "", share: float | None = None, left: str = "", *, is_running: bool) -> None:
        """What runs and how far it is."""
        self._parts, self._is_running = (word, step, share, left), is_running
        self.setAccessibleName(", ".join(part for part in (word, step, left) if part))
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_running else Qt.CursorShape.ArrowCursor)
        self.setEnabled(is_running)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        word, step, share, left = self._parts
        x = 6.0
        if self.shows_focus:
            focus_ring(painter, QRectF(self.rect()), 4)
        if self._is_running:
            fill_box(painter, QRectF(x, self.height() / 2 - 3, 6, 6), 3, t.accent)
            x += 16
        x = self._write(painter, x, word, "small_strong" if self._is_running else "small")
        x = self._write(painter, x + 12, step, "small")
        if share is not None:
            room = self.width() - x - 22 - QFontMetricsF(font("small")).horizontalAdvance(left)
            track = QRectF(x + 10, self.height() / 2 - 2, min(90.0, max(24.0, room)), 4)  # words go before the bar
            fill_box(painter, track, 2, track_colour(t.rail))
            done = QRectF(track)
            done.setWidth(max(4.0, track.width() * share))
            fill_box(painter, done, 2, t.accent)
            self._write(painter, track.right() + 12, left, "small")

    def _write(self, painter: QPainter, x: float, text: str, role: str) -> float:
        used = QFontMetricsF(font(role))
        painter.setFont(font(role))
        painter.setPen(tokens().text if role == "small_strong" else tokens().text2)
        shown = used.elidedText(text, Qt.TextElideMode.ElideRight, max(0.0, self.width() - x))
        painter.drawText(QRectF(x, 0, self.width() - x, self.height()), Qt.AlignmentFlag.AlignVCenter, shown)
        return x + used.horizontalAdvance(shown)


class _Amount(QWidget):
    """A name, a bar of what is in use, and the figure."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name, self._figure = name, ""
        self._share = math.nan
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)

    def say(self, figure: str, share: float, name: str = "") -> None:
        """The figure and the share in use."""
        if (figure, name or self._name) != (self._figure, self._name):
            self._figure, self._name = figure, name or self._name
            self.setAccessibleName(f"{self._name}: {figure}")
            self.updateGeometry()
        self._share = share
        self.update()

    def sizeHint(self) -> QSize:
        words = QFontMetricsF(font("small"))
        width = words.horizontalAdvance(self._name) + words.horizontalAdvance(self._figure)
        return QSize(round(width) + 74, STRIP_HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        words = QFontMetricsF(font("small"))
        painter.setFont(font("small"))
        painter.setPen(t.text3)
        painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignVCenter, self._name)
        track = QRectF(words.horizontalAdvance(self._name) + 8, self.height() / 2 - 2, 44, 4)
        fill_box(painter, track, 2, track_colour(t.rail))
        if self._share == self._share:
            used = QRectF(track)
            used.setWidth(max(3.0, 44 * min(1.0, self._share)))
            fill_box(painter, used, 2, t.danger if self._share > 0.95 else t.text2)
        painter.setPen(t.text2)
        box = QRectF(self.rect()).adjusted(0, 0, -4, 0)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._figure)


class _Offline(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self._fit()
        theme().changed.connect(self._fit)
        self.setAccessibleName("Offline: nothing is looked up or downloaded")
        self.setToolTip("Nothing is looked up or downloaded. Change it in Preferences.")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        paint_icon(painter, Icon.LOCK, QRectF(0, 0, icon_size(14), self.height()), t.text3, icon_size(13))
        painter.setFont(font("small"))
        painter.setPen(t.text2)
        words = QRectF(self.rect()).adjusted(icon_size(14) + 5, 0, 0, 0)
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, "Offline")

    def _fit(self) -> None:
        self.setFixedWidth(round(QFontMetricsF(font("small")).horizontalAdvance("Offline")) + icon_size(14) + 13)


class Strip(QWidget):
    """The strip.

    Signals:
        job_clicked(str): the page that shows what is running.
    """

    job_clicked = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.setFixedHeight(STRIP_HEIGHT)
        self._job, self._offline = _JobLine(), _Offline()
        self._card, self._ram, self._disk = _Amount("CPU"), _Amount("RAM"), _Amount("Disk")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 1, 14, 0)
        layout.setSpacing(18)
        layout.addWidget(self._job, 1)
        for part in (self._offline, self._card, self._ram, self._disk):
            layout.addWidget(part)
        self._connect()
        self._on_job()
        self._on_machine()
        self._on_preferences()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        painter.fillRect(self.rect(), tokens().rail)
        painter.fillRect(QRectF(0, 0, self.width(), 1), tokens().border)

    def _connect(self) -> None:
        self._job.clicked.connect(self._on_click)
        self._context.activity_changed.connect(self._on_job)
        self._context.machine.changed.connect(self._on_machine)
        self._context.preferences_changed.connect(self._on_preferences)
        self._context.session.live_changed.connect(self._on_live)

    def _on_live(self) -> None:
        live = self._context.session.live
        if live is not None:
            live.changed.connect(self._on_job)
        self._on_job()

    def _on_job(self) -> None:
        live = self._context.session.live
        if live is None or live.has_ended:
            self._show_activity()
        elif live.total and live.step:
            step = f"step {figures.count(live.step)} of {figures.count(live.total)}"
            left = f"{figures.duration(live.seconds_left)} left" if live.seconds_left == live.seconds_left else ""
            self._job.say(f"Training {live.title}", step, live.share, left, is_running=True)
        else:
            self._job.say(live.title, live.phase, is_running=True)

    def _show_activity(self) -> None:
        """What a page does in the background; training, which takes the machine, comes before it."""
        activity = self._context.activity
        if activity is None:
            self._job.say("Nothing is running", is_running=False)
        else:
            share = "" if activity.share is None else figures.share(activity.share)
            self._job.say(activity.words, activity.detail, activity.share, share, is_running=True)

    def _on_click(self) -> None:
        live, activity = self._context.session.live, self._context.activity
        is_training = live is not None and not live.has_ended
        self.job_clicked.emit("train" if is_training or activity is None else activity.page)

    def _on_machine(self) -> None:
        now = self._context.machine.resources
        self._card.setVisible(now is not None and bool(now.gpus))
        if now is None:
            return
        for gpu in now.gpus[:1]:
            used = gpu.total_bytes - gpu.free_bytes
            name = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
            self._card.say(figures.of_gigabytes(used, gpu.total_bytes), used / gpu.total_bytes, name)
            self._card.setToolTip(f"In use: {_of_gib(used, gpu.total_bytes)}")
        used = now.ram_total - now.ram_free
        self._ram.say(figures.of_gigabytes(used, now.ram_total), used / now.ram_total)
        self._ram.setToolTip(f"In use: {_of_gib(used, now.ram_total)}")
        self._disk.say(f"{figures.plain_gigabytes(now.disk_free)} GB free", 1 - now.disk_free / now.disk_total)
        self._disk.setToolTip(f"Free: {_of_gib(now.disk_free, now.disk_total)}")

    def _on_preferences(self) -> None:
        self._offline.setVisible(self._context.preferences.offline)


def _of_gib(part: float, whole: float) -> str:
    return f"{part / 2**30:.1f} of {whole / 2**30:.1f} GiB"
