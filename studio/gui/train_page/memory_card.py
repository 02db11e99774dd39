"""Memory over time with its legend."""

from __future__ import annotations

from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.gui.controls import Card
from studio.gui.plots.legend import Entry, Legend
from studio.gui.plots.memory_plot import MemoryPlot
from studio.gui.train_page.run_watch import RunWatch


class MemoryCard(Card):
    """The memory of one run: of the card, or of RAM where it trains without one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Memory", padding=14, spacing=4, parent=parent)
        self.plot = MemoryPlot()
        self.plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._legend = Legend()
        self.header.takeAt(1)
        self.header.addWidget(self._legend, 1)
        self.body.addWidget(self.plot, 1)

    def show_run(self, watch: RunWatch) -> None:
        """Draw a run as it stands."""
        curves = watch.curves
        name, limit = watch.limit
        self.title.say("Card memory" if curves.has_gpu else "Memory (RAM)")
        self.plot.set_limits(predicted=float(watch.predicted_bytes or 0), limit=limit, limit_name=name)
        self.plot.show_curves(curves, curves.active_seconds + (curves.pace.seconds_left or 0.0))
        self._legend.set_entries([Entry(kind, kind, "area") for kind in self.plot.kinds_in_use()])
