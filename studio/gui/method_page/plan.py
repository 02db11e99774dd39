"""The column at the right: predicted peak, what could be given up, and below them what the step brings of its own."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import ScrollColumn
from studio.gui.method_page.fit import FitCard
from studio.gui.method_page.forecasts import Forecasts
from studio.gui.method_page.peak import PeakCard
from studio.gui.method_page.prober import Prober
from studio.methods import METHODS


class PlanColumn(ScrollColumn):
    """Peak and rungs of the chosen method."""

    def __init__(self, context: Context, forecasts: Forecasts, prober: Prober, *below: QWidget) -> None:
        super().__init__(spacing=12)
        self._context, self._forecasts, self._prober = context, forecasts, prober
        self.peak, self.fit = PeakCard(), FitCard()
        for card in (self.peak, self.fit, *below):
            self.column.addWidget(card)
        self.column.addStretch(1)
        self.fit.ticked.connect(self._on_ticked)
        self.fit.applied.connect(self._on_applied)
        self.peak.exact.clicked.connect(self._on_exact)
        self.peak.speeds.clicked.connect(prober.measure_speeds)
        prober.changed.connect(self._show_probe)

    def refresh(self) -> None:
        """Show the outlook."""
        spec = self._context.session.spec
        if spec is None:
            return
        chosen = self._forecasts.chosen
        self.peak.show_forecast(METHODS.get(spec.method.key).title, chosen, self._card_name())
        self._show_probe()
        is_short = chosen is not None and chosen.verdict in ("short", "impossible")
        self.fit.setVisible(chosen is not None and (is_short or bool(self._forecasts.outlook.rungs)))
        self.fit.show_rungs(self._forecasts.outlook.rungs, is_short=is_short)
        self._on_ticked(self.fit.settings())

    def set_dimmed(self) -> None:
        """The figures are being worked out anew."""
        self.peak.bar.set_dimmed(True)

    def _show_probe(self) -> None:
        chosen = self._forecasts.chosen
        # What streams goes through buffers that no tracing sees.
        is_known = chosen is not None and (chosen.is_exact or chosen.verdict == "impossible" or chosen.read_bytes > 0)
        may_start = chosen is not None and not is_known and self._context.session.facts is not None
        may_measure = chosen is not None and chosen.step_seconds is None and chosen.verdict != "impossible"
        self.peak.show_probe(
            self._prober.words, is_busy=self._prober.is_busy, may_start=may_start, may_measure=may_measure
        )

    def _on_exact(self) -> None:
        if self._prober.is_busy:
            self._prober.cancel()
        else:
            self._prober.trace_step()

    def _card_name(self) -> str:
        """The chosen card as people call it."""
        chosen, resources = self._forecasts.chosen, self._context.machine.resources
        gpus = resources.gpus if resources else ()
        found = [gpu.name for gpu in gpus if chosen and chosen.device == f"cuda:{gpu.index}"]
        return found[0].removeprefix("NVIDIA ").removeprefix("GeForce ") if found else ""

    def _on_ticked(self, settings: list[str]) -> None:
        self._forecasts.preview(settings, self.fit.show_sum)

    def _on_applied(self, settings: list[str]) -> None:
        try:
            self._context.session.edit(*settings, label="Make it fit")
        except UserError as error:
            self._context.notify(error.message, error.hint, "danger")
            return
        session = self._context.session
        self._context.notify("The plan is smaller now.", ", ".join(settings), "good", ("Undo", session.undo_stack.undo))
