"""The lanes of a run: what waits for the drive is shown where weights stream from it, and only there."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from studio.gui.controls import Text
from studio.gui.train_page.lanes import LanesCard
from studio.project.curves import RunCurves
from tests.helpers.stories import a_step, hello


def _shown(qtbot: QtBot, waited: float) -> str:
    """The waiting lane's words, "" where it is hidden."""
    curves = RunCurves()
    curves.take([hello(), *(a_step(number).model_copy(update={"waited": waited}) for number in range(1, 6))])
    card = LanesCard()
    qtbot.addWidget(card)
    card.show()
    card.show_curves(curves)
    captions = [text for text in card.findChildren(Text) if text.text() == "Waiting for disk" and text.isVisible()]
    figures = [text.text() for text in card.findChildren(Text) if text.isVisible() and text.text().endswith("%")]
    return figures[0] if captions else ""


def test_waiting_is_a_share_of_the_step(qtbot: QtBot) -> None:
    assert _shown(qtbot, 0.25) == "25 %"


def test_a_run_in_memory_has_no_such_lane(qtbot: QtBot) -> None:
    assert _shown(qtbot, 0.0) == ""
