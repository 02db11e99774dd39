"""Step 5: every setting that training reads, with what each edit does to memory."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QWidget

from studio.errors import Problem
from studio.gui.context import Context
from studio.gui.controls import Card, ScrollColumn
from studio.gui.figures import count, gigabytes, rate
from studio.gui.forms import SpecForm
from studio.gui.forms.editors import TextEditor
from studio.gui.method_page.forecasts import Forecasts
from studio.gui.method_page.method_step import MethodSettings
from studio.gui.method_page.plan import PlanColumn
from studio.gui.method_page.unit_card import UnitCard
from studio.methods import METHODS
from studio.objectives import OBJECTIVES
from studio.optimizers import OPTIMIZERS

_NOTEWORTHY = 5e6  # bytes


class SettingsStep(QWidget):
    """The settings."""

    def __init__(self, context: Context, forecasts: Forecasts, plan: PlanColumn, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._forecasts, self.plan = context, forecasts, plan
        self.method = MethodSettings(context, "This method")
        self.training = Card("Training", spacing=2)
        self.train_form: SpecForm | None = None
        self.optimizer = UnitCard(context, "optimizer", "Optimizer", OPTIMIZERS)
        self.objective = UnitCard(context, "objective", "Objective", OBJECTIVES)
        self._edited: tuple[str, int] | None = None
        self._scroll = ScrollColumn(spacing=12, margins=(0, 0, 8, 0))
        for card in (self.training, self.method, self.optimizer, self.objective):
            self._scroll.column.addWidget(card)
        self._scroll.column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self._scroll, 57)
        row.addWidget(plan, 43)

    def forms(self) -> list[SpecForm]:
        """All forms of this step."""
        found = (self.train_form, self.method.form, self.optimizer.form, self.objective.form)
        return [form for form in found if form is not None]

    def refresh(self, problems: tuple[Problem, ...]) -> None:
        """Show what the draft says, and what is wrong with it."""
        if self._context.session.spec is None:
            return
        if self.train_form is None:
            self.train_form = SpecForm(self._context.session, "train")
            self.training.header.addWidget(self.train_form.toggle)
            self.training.body.addWidget(self.train_form)
        self.train_form.refresh()
        self._show_hints(self.train_form)
        for card in (self.method, self.optimizer, self.objective):
            card.refresh()
        for form in self.forms():
            if form.property("watched") is None:
                form.setProperty("watched", True)
                form.saved.connect(self._on_saved)
            form.show_problems(problems)

    def show_effect(self) -> None:
        """The forecast is fresh: say beside the last edited setting what it did."""
        now, edited = self._forecasts.chosen, self._edited
        if now is None or edited is None:
            return
        path, before = edited
        self._edited = None
        for form in self.forms():
            for row in form.rows:
                row.show_effect(_difference(now.peak_bytes - before) if row.facts.path == path else "")

    def go_to(self, path: str) -> None:
        """Put the focus into a setting's field."""
        for form in self.forms():
            if form.go_to(path):
                row = form.row(path)
                assert row is not None
                self._scroll.ensureWidgetVisible(row, 0, 60)
                return

    def _show_hints(self, form: SpecForm) -> None:
        """What settings that are left open come to."""
        spec, chosen = self._context.session.spec, self._forecasts.chosen
        assert spec is not None
        hints = {"train.learning_rate": rate(METHODS.get(spec.method.key).learning_rate)}
        if chosen is not None and chosen.steps:
            hints["train.steps"] = count(chosen.steps)
        for path, words in hints.items():
            row = form.row(path)
            if row is not None and isinstance(row.editor, TextEditor):
                row.editor.set_hint(words)

    def _on_saved(self, path: str) -> None:
        before = self._forecasts.chosen
        self._edited = (path, before.peak_bytes) if before is not None else None


def _difference(change: int) -> str:
    if abs(change) < _NOTEWORTHY:
        return ""
    return f"{'+' if change > 0 else '−'} {gigabytes(abs(change))}"
