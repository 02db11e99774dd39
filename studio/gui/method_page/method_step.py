"""Step 4: how. Methods as cards, what fits first; the chosen one's peak, what could be given up, and its settings."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from studio.gui.context import Context
from studio.gui.controls import Button, Card, ScrollColumn
from studio.gui.forms import SpecForm
from studio.gui.icons import Icon
from studio.gui.method_page.choice_card import ChoiceCard, choose
from studio.gui.method_page.forecasts import Forecasts
from studio.gui.method_page.method_card import MethodCard, scales_of
from studio.gui.method_page.plan import PlanColumn
from studio.methods import METHODS
from studio.spec.presets import order_by_fit
from studio.spec.run_spec import RunSpec

_FIRST = 5


class MethodStep(QWidget):
    """The methods.

    Signals:
        chosen(str): a method's key.
    """

    chosen = Signal(str)

    def __init__(self, context: Context, forecasts: Forecasts, plan: PlanColumn, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._forecasts, self.plan = context, forecasts, plan
        self._scroll = ScrollColumn(spacing=10, margins=(0, 0, 8, 0))
        self.cards: dict[str, ChoiceCard] = {}
        for key, method in METHODS.all().items():
            card = MethodCard(method)
            card.chosen.connect(self.chosen)
            self.cards[key] = card
            self._scroll.column.addWidget(card)
        self.more = Button("", "quiet", icon=Icon.CARET_DOWN)
        self.more.setCheckable(True)
        self._scroll.column.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        self._scroll.column.addStretch(1)
        self._order: list[str] = []
        self._spec: RunSpec | None = None
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(16)
        self.row.addWidget(self._scroll, 57)
        self.more.toggled.connect(lambda _: self._fold())

    def enter(self) -> None:
        """Shown again: what fits may be another, so the order is made anew."""
        self._order, self._spec = [], self._context.session.spec
        self.row.addWidget(self.plan, 43)
        self.refresh()
        QTimer.singleShot(0, self, self.show_chosen)  # once the cards have their places

    def show_chosen(self) -> None:
        """Scroll to the chosen card."""
        spec = self._context.session.spec
        if spec is not None:
            self._scroll.ensureWidgetVisible(self.cards[spec.method.key], 0, 20)

    def refresh(self) -> None:
        """Show the draft's method and what is known of all."""
        spec = self._context.session.spec
        if spec is None:
            return
        choose(self.cards, spec.method.key)
        found = self._forecasts.outlook.by_method
        scales = scales_of(found)
        for key, card in self.cards.items():
            assert isinstance(card, MethodCard)
            card.show_forecast(found.get(key), scales)
        is_first = self._spec is spec or not self._order
        if found and is_first:
            self._arrange(order_by_fit({key: found[key].verdict if key in found else "" for key in self.cards}))
            QTimer.singleShot(0, self, self.show_chosen)
        self._fold()

    def set_dimmed(self) -> None:
        """The figures are being worked out anew."""
        for card in self.cards.values():
            assert isinstance(card, MethodCard)
            card.set_dimmed(True)

    def _arrange(self, order: list[str]) -> None:
        """Put what fits first; only until something is edited, so that nothing jumps while settings are tried."""
        if order == self._order:
            return
        self._order = order
        for at, key in enumerate(order):
            self._scroll.column.insertWidget(at, self.cards[key])
            self.cards[key].badge.setVisible(False)
        best = self.cards[order[0]]
        is_clear = self._forecasts.outlook.by_method[order[0]].verdict in ("fits", "tight")
        best.badge.say("Best fit", "good")
        best.badge.setVisible(is_clear)

    def _fold(self) -> None:
        """The first five, the chosen one, and the rest when asked for."""
        spec = self._context.session.spec
        order = self._order or list(self.cards)
        shown = {*order[:_FIRST], spec.method.key if spec else ""}
        is_open = self.more.isChecked()
        for key, card in self.cards.items():
            card.setVisible(is_open or key in shown)
        self.more.setText("Show fewer methods" if is_open else f"Show all {len(self.cards)} methods")
        self.more.set_glyph(Icon.CARET_UP if is_open else Icon.CARET_DOWN)
        self.more.setVisible(len(self.cards) > len(shown - {""}))


class MethodSettings(Card):
    """The chosen method's own settings."""

    def __init__(self, context: Context, title: str, parent: QWidget | None = None) -> None:
        super().__init__(title, spacing=2, parent=parent)
        self._context = context
        self.form: SpecForm | None = None

    def refresh(self) -> None:
        """Show the draft's method's settings; another form for another method."""
        if self._context.session.spec is None:
            return
        if self.form is None or not self.form.fits():
            if self.form is not None:
                self.form.toggle.deleteLater()
                self.form.hide()
                self.form.deleteLater()
            self.form = SpecForm(self._context.session, "method", is_narrow=True)
            self.header.addWidget(self.form.toggle)
            self.body.addWidget(self.form)
        self.form.refresh()
        self.setVisible(bool(self.form.rows))
