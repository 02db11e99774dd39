"""Home."""

from __future__ import annotations

from studio.gui.context import Context
from studio.gui.controls import Button
from studio.gui.icons import Icon
from studio.gui.page import PageWidget


class HomePage(PageWidget):
    """Home."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Home")
        self.facts.say("Everything stays on this computer.")
        self.open_button = Button("Open project…", icon=Icon.OPEN)
        self.action_row.addWidget(self.open_button)
        self.body.addStretch(1)
