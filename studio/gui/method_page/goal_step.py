"""Step 1: what for. Each goal says what it needs and what it would set."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.gui.context import Context
from studio.gui.controls import Banner, Card, ScrollColumn, Text
from studio.gui.forms.editors import as_text, in_words
from studio.gui.method_page.choice_card import ChoiceCard, choose
from studio.gui.method_page.layouts import clear
from studio.spec.fields import describe
from studio.spec.goals import GOALS, Goal, Proposal
from studio.spec.presets import proposals
from studio.spec.run_spec import RunSpec


class GoalStep(QWidget):
    """The goals.

    Signals:
        chosen(str): a goal's key.
    """

    chosen = Signal(str)

    def __init__(self, context: Context, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.cards: dict[str, ChoiceCard] = {}
        scroll = ScrollColumn(spacing=10, margins=(0, 0, 8, 0))
        for goal in GOALS.values():
            card = ChoiceCard(goal.key, goal.title, goal.summary)
            card.content.addWidget(Text(f"Needs: {goal.needs}", "small", "text3", wrap=True))
            card.chosen.connect(self.chosen)
            self.cards[goal.key] = card
            scroll.column.addWidget(card)
        scroll.column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(scroll, 57)
        self._side = QVBoxLayout()
        self._side.setSpacing(12)
        row.addLayout(self._side, 43)
        self._shown: tuple[object, ...] = ()

    def refresh(self) -> None:
        """Show the draft's goal."""
        spec = self._context.session.spec
        if spec is None:
            return
        choose(self.cards, spec.goal.kind)
        goal = GOALS.get(spec.goal.kind)
        shown = (goal, proposals(goal, spec) if goal else (), spec)
        if shown != self._shown:
            self._shown = shown
            clear(self._side)
            self._side.addWidget(_explained(goal, spec))
            if goal is not None and goal.caution:
                self._side.addWidget(Banner("warn", "Know beforehand", goal.caution))
            self._side.addStretch(1)


def _explained(goal: Goal | None, spec: RunSpec) -> Card:
    """What the goal sets, or what choosing one does."""
    if goal is None:
        card = Card("What choosing does")
        words = "A goal proposes settings, each with its reason. All of them can be changed at any step, and undone."
        card.body.addWidget(Text(words, "small", "text2", wrap=True))
        return card
    card = Card(f"{goal.title}: what it proposes", spacing=8)
    for proposal in proposals(goal, spec):
        card.body.addLayout(_line(proposal, spec))
    return card


def _line(proposal: Proposal, spec: RunSpec) -> QVBoxLayout:
    section, name = proposal.path.split(".")
    declared = type(getattr(spec, section))
    field = next(found for found in describe(declared, section) if found.name == name)
    now = getattr(getattr(spec, section), name)
    head = QHBoxLayout()
    head.addWidget(Text(field.title, "body_strong"))
    head.addStretch(1)
    value = _said(proposal.value) if now == proposal.value else f"{_said(now)} (proposed: {_said(proposal.value)})"
    head.addWidget(Text(value, "body_strong", "accent_text" if now == proposal.value else "warn"))
    column = QVBoxLayout()
    column.setSpacing(1)
    column.addLayout(head)
    column.addWidget(Text(proposal.why, "small", "text2", wrap=True))
    return column


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return in_words(value) if isinstance(value, str) else as_text(value)
