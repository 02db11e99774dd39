"""The whole journey through the real window by mouse and keyboard: from a dropped file to a file that was checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from studio.gui.window import Window
from tests.gui.driver import Hands
from tests.gui.samples import STARTER_ROWS

_CTRL = Qt.KeyboardModifier.ControlModifier
_ROWS = 60


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_a_dropped_file_to_a_checked_gguf(
    window: Window, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    hands = Hands(window, qtbot)
    rows = tmp_path / "old sailor ⚓.jsonl"
    rows.write_bytes(b"".join(STARTER_ROWS.read_bytes().splitlines(keepends=True)[:_ROWS]))

    _make_project(hands, rows)
    _look_at_data(hands)
    _choose_method(hands)
    _watch_training(hands)
    _chat_with_both(hands)
    _export_and_check(hands)


def _make_project(hands: Hands, rows: Path) -> None:
    """Drop the rows on Home, pick the model in the dialog, say what for by keys, and create."""
    hands.drop(rows)
    card = hands.window.page("home").new_project  # type: ignore[attr-defined]
    hands.until(lambda: card.data_button.value() == rows.name, what="the dropped rows")
    hands.in_dialog(lambda dialog: hands.click(_use_starter(dialog, hands), dialog))
    hands.qtbot.mouseClick(card.model_button, Qt.MouseButton.LeftButton)
    hands.until(lambda: card.model == "starter", what="the starter to be chosen")
    card.goal_choice.setFocus(Qt.FocusReason.TabFocusReason)
    hands.press(Qt.Key.Key_Down, card.goal_choice)
    hands.click("Create project")
    hands.until(lambda: hands.window.page_key == "data", what="the Data page")


def _use_starter(dialog: QWidget, hands: Hands) -> str:
    hands.until(lambda: _starter_name(dialog, hands) != "", what="the starter in the picker")
    return _starter_name(dialog, hands)


def _starter_name(dialog: QWidget, hands: Hands) -> str:
    names = ("Use Starter", "Use starter", "Use The starter", "Use Tunesmith starter")
    return next((name for name in names if hands.button(name, dialog) is not None), "")


def _look_at_data(hands: Hands) -> None:
    """The rows are there, counted; what the model sees of the first one is shown; then on."""
    session = hands.window.context.session
    hands.until(lambda: session.num_rows == _ROWS, 60, "the rows to be counted")
    hands.until(lambda: session.row_lengths is not None, 60, "the tokens to be counted")
    hands.click("Choose a method")
    assert hands.window.page_key == "method"


def _choose_method(hands: Hands) -> None:
    """Step through to the check by the primary button, and start."""
    page = hands.window.page("method")
    hands.until(lambda: page.forecasts.chosen is not None, 60, "a forecast")  # type: ignore[attr-defined]
    for _ in range(8):
        if hands.button("Start training") is not None:
            break
        hands.click("Continue")
    hands.click("Start training")
    hands.until(lambda: hands.window.page_key == "train", 120, "the Train page")


def _watch_training(hands: Hands) -> None:
    """It trains in a process of its own; the rail and the strip tell; then it is done."""
    session = hands.window.context.session
    hands.until(lambda: session.live is not None and session.live.step > 0, 120, "the first step")
    hands.until(lambda: bool(session.runs) and session.runs[-1].state.status == "done", 400, "the end of the run")
    state = session.runs[-1].state
    assert state.best_eval is not None and state.first_eval is not None
    assert state.best_eval < state.first_eval
    hands.click("Chat with it")
    assert hands.window.page_key == "playground"


def _chat_with_both(hands: Hands) -> None:
    """One question, two answers."""
    page = hands.window.page("playground")
    box = page.composer.box  # type: ignore[attr-defined]
    hands.until(lambda: len(page.chat.active()) == 2, 60, "both models to be on their way")  # type: ignore[attr-defined]
    box.setFocus(Qt.FocusReason.TabFocusReason)
    hands.type("What is 3 plus 4?", box)
    hands.press(Qt.Key.Key_Return, box)
    hands.until(lambda: all(_answers(page)), 180, "both answers")
    assert "7" in _answers(page)[0]


def _answers(page: QWidget) -> list[str]:
    conversation = page.chat.conversation  # type: ignore[attr-defined]
    if conversation.last is None:
        return ["", ""]
    node = conversation.nodes[conversation.last]
    answers = [node.answer(side) for side in ("base", "tuned")]
    return [answer.text if answer is not None else "" for answer in answers]


def _export_and_check(hands: Hands) -> None:
    """The page by its key, one type by its tick, the start by a key; then the file and its verdict."""
    hands.press(Qt.Key.Key_6, hands.window, _CTRL)
    assert hands.window.page_key == "export"
    page = hands.window.page("export")
    project = hands.window.context.session.project
    assert project is not None
    hands.until(lambda: page.start.isEnabled(), 60, "the sizes of the types")  # type: ignore[attr-defined]
    hands.press(Qt.Key.Key_Return, hands.window, _CTRL)
    hands.until(lambda: any(project.exports_dir.glob("*.gguf")), 300, "the file")
    hands.until(lambda: hands.button("Chat with this file") is not None, 300, "the verdict")
    assert hands.window.toasts.texts() == [text for text in hands.window.toasts.texts() if "fail" not in text.lower()]
