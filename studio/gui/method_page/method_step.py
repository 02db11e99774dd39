"""Step 4: how. Methods as cards, what fits first; the chosen one's peak, what could be given up, and its settings."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from studio.gui.context import Context
from studio.gui.controls import Button, Card, ScrollColumn
from studio.gui.forms import SpecForm
from studio.gui.icons import Icon
from studio.gui.method_page.choice_card import choose
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
        self.cards: dict[str, MethodCard] = {}
        self.more = Button("", "quiet", icon=Icon.CARET_DOWN)
        self.more.setCheckable(True)
        self._scroll.column.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        self._scroll.column.addStretch(1)
        self._order = order_by_fit(dict.fromkeys(METHODS.all(), ""))
        self._spec: RunSpec | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(self._scroll, 57)
        row.addWidget(plan, 43)
        self.more.toggled.connect(lambda _: self.refresh())

    def arrange_anew(self) -> None:
        """Shown again: what fits may be another, so the order is made anew."""
        self._spec = self._context.session.spec
        self.refresh()
        QTimer.singleShot(0, self, self.show_chosen)  # once the cards have their places

    def prepare(self) -> Iterator[None]:
        """Make the cards that are shown first, one at a time."""
        for key in self._order[:_FIRST]:
            if key not in self.cards:
                self._make(key)
                yield

    def show_chosen(self) -> None:
        """Scroll to the chosen card."""
        spec = self._context.session.spec
        if spec is not None and spec.method.key in self.cards:
            self._scroll.ensureWidgetVisible(self.cards[spec.method.key], 0, 20)

    def refresh(self) -> None:
        """Show the draft's method and what is known of all."""
        spec = self._context.session.spec
        if spec is None:
            return
        found = self._forecasts.outlook.by_method
        if found and self._spec is spec:
            self._arrange(order_by_fit({key: found[key].verdict if key in found else "" for key in METHODS.all()}))
        self._fold(spec.method.key)
        choose(self.cards, spec.method.key)
        scales = scales_of(found)
        for key, card in self.cards.items():
            card.show_forecast(found.get(key), scales)

    def set_dimmed(self) -> None:
        """The figures are being worked out anew."""
        self.plan.set_dimmed()
        for card in self.cards.values():
            card.set_dimmed(True)

    def _arrange(self, order: list[str]) -> None:
        """Put what fits first; only until something is edited, so that nothing jumps while settings are tried."""
        if order == self._order:
            return
        self._order = order
        for card in self.cards.values():
            self._scroll.column.removeWidget(card)
        for at, key in enumerate(key for key in order if key in self.cards):
            self._scroll.column.insertWidget(at, self.cards[key])
        QTimer.singleShot(0, self, self.show_chosen)

    def _fold(self, chosen: str) -> None:
        """The first five, the chosen one, and the rest when asked for. A card is made when it is first shown."""
        is_open = self.more.isChecked()
        shown = {*self._order[:_FIRST], chosen}
        for key in self._order if is_open else [key for key in self._order if key in shown]:
            if key not in self.cards:
                self._make(key)
        best = self._forecasts.outlook.by_method.get(self._order[0])
        for key, card in self.cards.items():
            card.setVisible(is_open or key in shown)
            card.badge.setVisible(key == self._order[0] and best is not None and best.verdict in ("fits", "tight"))
        self.more.setText("Show fewer methods" if is_open else f"Show all {len(self._order)} methods")
        self.more.set_glyph(Icon.CARET_UP if is_open else Icon.CARET_DOWN)
        self.more.setVisible(len(self._order) > len(shown))

    def _make(self, key: str) -> None:
        card = MethodCard(METHODS.get(key))
        card.badge.say("Best fit", "good")
        card.chosen.connect(self.chosen)
        self.cards[key] = card
        before = [known for known in self._order[: self._order.index(key)] if known in self.cards]
        self._scroll.column.insertWidget(len(before), card)


class MethodSettings(Card):
    """The chosen method's own settings."""

    def __init__(
        self, context: Context, title: str, parent: QWidget | None = None, *, is_narrow: bool = False
    ) -> None:
        super().__init__(title, spacing=2, parent=parent)
        self._context, self._is_narrow = context, is_narrow
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
            self.form = SpecForm(self._context.session, "method", is_narrow=self._is_narrow)
            self.header.addWidget(self.form.toggle)
            self.body.addWidget(self.form)
        self.form.refresh()
        self.setVisible(bool(self.form.rows))
