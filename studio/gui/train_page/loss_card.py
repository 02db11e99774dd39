"""The loss plot with its legend, linear or logarithmic, whole or zoomed, and what of it can be kept as a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import Card, IconButton, Menu, Segment
from studio.gui.files import ask_new_file, show_folder
from studio.gui.icons import Icon
from studio.gui.plots.legend import Entry, Legend
from studio.gui.plots.loss_plot import LossPlot
from studio.gui.tasks import Control
from studio.project.curves import RunCurves
from studio.project.curves_csv import write_csv
from studio.project.runs import Run

_ENTRIES = (Entry("each step", "text3"), Entry("smoothed", "accent"), Entry("held out", "held_out", "ring"))


class LossCard(Card):
    """The loss of one run.

    Signals:
        log_changed(bool): the axis is logarithmic, or linear again.
    """

    log_changed = Signal(bool)

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__("Loss", padding=14, spacing=4, parent=parent)
        self._context = context
        self._run: Run | None = None
        self._curves = RunCurves()
        self.plot = LossPlot()
        self.plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._scale = Segment((("linear", "Linear"), ("log", "Log")), name="Loss axis")
        self._whole = IconButton(Icon.ZOOM_OUT, "Show the whole curve (0)")
        self._keep = IconButton(Icon.DOWNLOAD, "Save as a picture or a table")
        self.header.takeAt(1)
        self.header.addWidget(Legend(_ENTRIES), 1)
        for widget in (self._scale, self._whole, self._keep):
            self.header.addWidget(widget)
        self.body.addWidget(self.plot, 1)
        self._connect()

    def _connect(self) -> None:
        self._scale.chosen.connect(lambda key: self.set_log(key == "log"))
        self._whole.clicked.connect(self.plot.show_whole)
        self._keep.clicked.connect(self.open_menu)
        self.plot.zoomed.connect(self._on_zoomed)
        self._on_zoomed()

    def show_run(self, run: Run, curves: RunCurves) -> None:
        """Draw a run as it stands."""
        self._run, self._curves = run, curves
        self.plot.show_curves(curves)

    def set_log(self, is_log: bool) -> None:
        """Linear or logarithmic."""
        self._scale.set_chosen("log" if is_log else "linear")
        self.plot.set_log(is_log)
        self.log_changed.emit(is_log)

    def open_menu(self) -> None:
        """Offer what can be kept."""
        menu = Menu(self)
        menu.add("Save picture…", self.save_picture, icon=Icon.DOWNLOAD)
        menu.add("Save figures as CSV…", self.save_table, icon=Icon.FILE_TEXT)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self._keep.mapToGlobal(QPoint(0, self._keep.height())))

    def save_picture(self) -> None:
        """Ask where to, and write the plot as PNG."""
        if path := self._ask("png", "Pictures (*.png)"):
            self.write_picture(path)

    def save_table(self) -> None:
        """Ask where to, and write all steps as CSV."""
        if path := self._ask("csv", "Tables (*.csv)"):
            self.write_table(path)

    def write_picture(self, path: Path) -> None:
        """Write the plot as PNG."""
        try:
            self.plot.save_png(path)
        except OSError as error:
            self._context.notify("The picture was not saved", str(error), "danger")
        else:
            self._on_written(path)

    def write_table(self, path: Path) -> None:
        """Write all steps as CSV, on a thread."""
        self._context.tasks.run(
            _write_csv, self._curves, path, on_done=lambda _: self._on_written(path), on_error=self._on_not_written
        )

    def _ask(self, ending: str, pattern: str) -> Path | None:
        if self._run is None:
            return None
        proposal = self._run.project_folder / f"{self._run.name}-loss.{ending}"
        return ask_new_file(self, "Save the loss curve", proposal, pattern)

    def _on_written(self, path: Path) -> None:
        self._context.notify(
            f"Saved {path.name}", str(path.parent), "good", ("Show it", lambda: show_folder(path.parent))
        )

    def _on_not_written(self, error: Exception) -> None:
        self._context.notify("The table was not saved", str(error), "danger")

    def _on_zoomed(self) -> None:
        self._whole.setEnabled(self.plot.is_zoomed)


def _write_csv(control: Control, curves: RunCurves, path: Path) -> None:
    try:
        write_csv(curves, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.", "Choose another place.") from error
