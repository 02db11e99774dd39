"""A choice among units (an optimizer, an objective) and below it the settings that the chosen one declares."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QHBoxLayout, QWidget

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import Card, Choice, Text
from studio.gui.forms import SpecForm
from studio.spec.fields import assignment
from studio.units import Registry


class UnitCard(Card):
    """One section whose fields depend on its `key`."""

    def __init__(self, context: Context, section: str, title: str, units: Registry[Any]) -> None:
        super().__init__(title, spacing=4)
        self._context, self._section, self._units = context, section, units
        self.form: SpecForm | None = None
        self.summary = Text("", "small", "text2", wrap=True)
        self.choice = Choice(name=title)
        for key, unit in units.all().items():
            self.choice.add(key, unit.title, hint=unit.summary)
        line = QHBoxLayout()
        line.addWidget(self.summary, 1)
        line.addWidget(self.choice)
        self.body.addLayout(line)
        self.choice.chosen.connect(self._on_chosen)

    def refresh(self) -> None:
        """Show what the draft says."""
        spec = self._context.session.spec
        if spec is None:
            return
        key = getattr(spec, self._section).key
        self.choice.set_chosen(key)
        self.summary.say(self._units.get(key).summary)
        if self.form is None or not self.form.fits():
            self._replace_form()
        assert self.form is not None
        self.form.refresh()

    def _replace_form(self) -> None:
        old = self.form
        if old is not None:
            for widget in (old, old.toggle):
                widget.hide()
                widget.deleteLater()
        self.form = SpecForm(self._context.session, self._section)
        self.header.addWidget(self.form.toggle)
        self.body.addWidget(self.form)
        QWidget.setTabOrder(self.choice, self.form)

    def _on_chosen(self, key: str) -> None:
        try:
            self._context.session.edit(assignment(f"{self._section}.key", key), label=self.title.text())
        except UserError as error:
            self._context.notify(error.message, error.hint, "danger")
            self.refresh()
