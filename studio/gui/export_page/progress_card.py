"""How far an export is: the file at hand as a mosaic, its bytes and pace, and the files that wait."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout

from studio.gui import figures
from studio.gui.controls import Button, Card, Elided, Progress, States, Text
from studio.gui.export_page.export_run import ExportRun, FileState
from studio.gui.export_page.mosaic import Mosaic

_QUEUED_NAMES = 3


class ProgressCard(Card):
    """The card.

    Signals:
        cancel_wanted()
    """

    cancel_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Starting", spacing=7)
        self.percent = Text("", "body_strong")
        self.cancel = Button("Cancel", "quiet", compact=True)
        self.cancel.clicked.connect(self.cancel_wanted)
        self.header.addWidget(self.percent)
        self.header.addWidget(self.cancel)
        self.count, self.tensor = Text("", "small_strong", "text2"), Elided("", "mono", "text3")
        line = QHBoxLayout()
        line.addWidget(self.count)
        line.addWidget(self.tensor, 1)
        self.body.addLayout(line)
        self.mosaic, self.bar = Mosaic(), Progress(name="Export")
        self.middle = States()
        self.middle.add("bar", self.bar)
        self.middle.add("mosaic", self.mosaic)
        self.body.addWidget(self.middle)
        self.pace, self.queue = Text("", "small", "text2"), Elided("", "small", "text3")
        foot = QHBoxLayout()
        foot.addWidget(self.pace)
        foot.addWidget(self.queue, 1)
        self.body.addLayout(foot)
        for right in (self.tensor, self.queue):
            right.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def show_run(self, run: ExportRun) -> None:
        """Show how far it is."""
        file = run.current
        self.cancel.setEnabled(not run.is_cancelled)
        self.percent.say(figures.share(run.share) if run.share is not None else "")
        if file is None or run.is_cancelled:
            self.title.say(f"{run.phase}…")
            self.count.say("what is half-made is removed" if run.is_cancelled else "")
            return
        self._show_file(file, run)
        waiting = [other.path.name for other in run.files if other.phase == "waiting"]
        more = f" and {len(waiting) - _QUEUED_NAMES} more" if len(waiting) > _QUEUED_NAMES else ""
        self.queue.say(f"then {', '.join(waiting[:_QUEUED_NAMES])}{more}" if waiting else "")

    def _show_file(self, file: FileState, run: ExportRun) -> None:
        name = file.path.name
        if file.phase == "checking":
            self.title.say(f"Checking {name}")
            self.percent.say(figures.share(file.share))
            self.pace.say("llama.cpp reads the file, its words are compared with the tuned model's")
        elif file.phase == "written":
            self.title.say(f"{run.phase}…" if not run.phase.startswith("Writing") else f"Written: {name}")
            self.pace.say("")
        else:
            self.title.say(f"Writing {name}")
            self.pace.say(pace(file))
        self._show_tensors(file)

    def _show_tensors(self, file: FileState) -> None:
        self.middle.show_state("mosaic" if file.tensors else "bar")
        if not file.tensors:
            self.bar.set_share(file.bytes_done / file.num_bytes if file.num_bytes else None)
            self.count.say("")
            return
        is_over = file.phase != "writing"
        at = file.num_tensors_done if is_over else file.num_tensors_done + 1
        self.count.say(f"Tensor {figures.count(at)} of {figures.count(len(file.tensors))}")
        self.tensor.say("" if is_over else file.current)
        self.mosaic.show_tensors(file.tensors, file.num_tensors_done, is_over=is_over)


def pace(file: FileState) -> str:
    """'2.65 of 4.28 GB at 148 MB/s, 11 s left'."""
    done, total = figures.gigabytes(file.bytes_done), figures.gigabytes(file.num_bytes)
    if not math.isfinite(file.bytes_per_second):
        return f"{done} of {total}"
    left = f", {figures.duration(file.seconds_left)} left" if file.seconds_left >= 1 else ""
    return f"{done} of {total} at {figures.count(file.bytes_per_second / 1e6)} MB/s{left}"
