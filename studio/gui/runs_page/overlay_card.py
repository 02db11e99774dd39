"""Curves of the ticked runs, over steps, time or tokens."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QSizePolicy, QWidget

from studio.gui import figures
from studio.gui.controls import Card, Segment, States, Text
from studio.gui.plots.legend import Entry as LegendEntry
from studio.gui.plots.legend import Legend
from studio.gui.plots.overlay_plot import STYLES, Line, OverlayPlot, line_colour
from studio.gui.plots.plot_table import PlotTable
from studio.gui.runs_page.library import Entry
from studio.gui.theme import theme
from studio.project.curve_rows import last_before, merged_x

_MEASURES = (("step", "By step"), ("seconds", "By time"), ("tokens", "By tokens"))
_AXIS_NAMES = {"step": "Step", "seconds": "Time", "tokens": "Tokens"}
_LOSSES = (("held_out", "Held out"), ("smoothed", "Training"))


class OverlayCard(Card):
    """The plot with what it shows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Loss", padding=14, spacing=4, parent=parent)
        self._shown: list[tuple[Entry, int]] = []
        self.plot = OverlayPlot()
        self.plot.setMinimumHeight(110)
        self.plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._legend = Legend()
        self._loss = Segment(_LOSSES, name="Which loss")
        self._measure = Segment(_MEASURES, name="Along the axis")
        self.header.takeAt(1)
        self.header.addWidget(self._legend, 1)
        self.header.addWidget(self._loss)
        self.header.addWidget(self._measure)
        self._places = States()
        self._hint = Text("", "body", "text2", wrap=True)
        self._places.add("plot", self.plot)
        self._places.add("hint", self._hint)
        self.body.addWidget(self._places, 1)
        self._measure.chosen.connect(self.plot.set_measure)
        self._loss.chosen.connect(lambda _: self._draw())
        self.plot.pointed.connect(lambda x: self.plot.unpoint() if x is None else self.plot.point_at(x))
        theme().changed.connect(self._draw)

    def show_runs(self, runs: Sequence[tuple[Entry, int]]) -> None:
        """Overlay these (run, colour)."""
        self._shown = list(runs)
        self._draw()

    def open_table(self) -> None:
        """The overlaid curves as a table."""
        measure, lines = self.plot.measure, self.plot.lines
        every = [(line.name, getattr(line.curve, measure), line.curve.loss) for line in lines]
        rows = []
        for x in merged_x([xs for _, xs, _ in every]):
            values = (last_before(xs, losses, x) for _, xs, losses in every)
            words = figures.duration(x) if measure == "seconds" else figures.count(x)
            rows.append((words, *("" if value is None else figures.loss(value) for value in values)))
        header = (_AXIS_NAMES[measure], *(name for name, _, _ in every))
        table = PlotTable("The curves as a table", header, rows, self)
        table.finished.connect(table.deleteLater)
        table.open()

    def _draw(self) -> None:
        key = self._loss.chosen_key()
        lines = [
            Line(f"run {entry.facts.number}", slot, getattr(entry.digest, key))
            for entry, slot in self._shown
            if entry.digest is not None and len(getattr(entry.digest, key).loss)
        ]
        self._legend.set_entries(
            [LegendEntry(line.name, line_colour(line.slot), dashes=STYLES[line.slot % len(STYLES)]) for line in lines]
        )
        self._hint.say(self._hint_words(key))
        self._places.show_state("plot" if lines else "hint")
        self.plot.show_lines(lines)

    def _hint_words(self, key: str) -> str:
        if not self._shown:
            return "Tick runs in the table to lay their curves over each other."
        if any(entry.digest is None for entry, _ in self._shown):
            return "Reading the runs…"
        if key == "held_out":
            return "The ticked runs kept no rows aside to measure on. Their training loss is under Training."
        return "The ticked runs have not taken a step."
