"""The Playground with real chat workers on the starter: answers, branches, corrections, crashes, freed memory."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from studio.gui.playground_page.column import ChatColumn
from studio.gui.playground_page.markdown import AnswerText, MarkdownView, last_block
from studio.gui.playground_page.page import PlaygroundPage
from studio.gui.playground_page.prompt_dialog import PromptDialog
from studio.gui.window import Window
from studio.project.conversations import kept_conversations
from studio.project.folder import Project

LONG = 60_000


@pytest.fixture
def page(window: Window, qtbot: QtBot, trained_project: Project) -> PlaygroundPage:
    return opened(window, qtbot, trained_project)


def opened(window: Window, qtbot: QtBot, project: Project) -> PlaygroundPage:
    """The page of a project, its models ready."""
    window.open_project(project.folder)
    has_runs = bool(project.runs())
    qtbot.waitUntil(lambda: bool(window.context.session.runs) or not has_runs, timeout=10_000)
    window.show_page("playground")
    found = window.page("playground")
    assert isinstance(found, PlaygroundPage)
    wait_ready(qtbot, found, ("base", "tuned") if has_runs else ("base",))
    return found


def wait_ready(qtbot: QtBot, page: PlaygroundPage, names: tuple[str, ...]) -> None:
    qtbot.waitUntil(lambda: all(page.chat.sides[name].state == "ready" for name in names), timeout=LONG)


def ask(qtbot: QtBot, page: PlaygroundPage, text: str) -> None:
    """Write and press Enter, and wait for the answers."""
    page.composer.box.setFocus()
    page.composer.box.clear()
    qtbot.keyClicks(page.composer.box, text)
    qtbot.keyClick(page.composer.box, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not page.chat.is_answering, timeout=LONG)


def workers() -> list[psutil.Process]:
    """Chat workers of this process."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and "chat" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def press(qtbot: QtBot, column: ChatColumn, name: str) -> None:
    """Press the last button of a column with this name, once it is there."""

    def found() -> list[QPushButton]:
        named = [each for each in column.findChildren(QPushButton) if each.accessibleName().startswith(name)]
        return [each for each in named if each.isVisibleTo(column)]

    qtbot.waitUntil(lambda: bool(found()), timeout=10_000)
    found()[-1].click()


def test_both_answer_one_question_and_leaving_frees_their_memory(page: PlaygroundPage, qtbot: QtBot) -> None:
    assert len(workers()) == 2
    assert page.tuned.badge.isVisibleTo(page) or page.models.source is not None
    ask(qtbot, page, "Can you spell spoon?")
    node = page.chat.conversation.path()[-1]
    answers = {name: node.answer(name) for name in ("base", "tuned")}
    assert all(answer is not None and answer.text and answer.figures["tokens"] > 0 for answer in answers.values())
    assert all(answer is not None and answer.finish == "stop" for answer in answers.values())
    assert "context" in page.composer.context.text() and "frees" in page.facts.text()
    ask(qtbot, page, "And fork?")
    assert len(page.chat.conversation.path()) == 2
    project = page.context.session.project
    assert project is not None
    qtbot.waitUntil(lambda: bool(kept_conversations(project.folder)), timeout=10_000)
    assert page.export.isVisibleTo(page), "what comes next is in sight"
    page.export.click()
    assert page.window().page_key == "export"  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: not workers(), timeout=15_000)
    page.context.navigate("playground")
    assert len(page.chat.conversation.path()) == 2, "the words stay"
    wait_ready(qtbot, page, ("base", "tuned"))


def test_edit_again_and_branch(page: PlaygroundPage, qtbot: QtBot) -> None:
    page.sides.chosen.emit("tuned")
    assert page.chat.sides["base"].state == "off" and not page.base.isVisible()
    ask(qtbot, page, "Can you spell spoon?")
    first = page.chat.conversation.path()[0]
    press(qtbot, page.tuned, "Answer again")
    qtbot.waitUntil(lambda: len(first.answers["tuned"]) == 2, timeout=LONG)
    press(qtbot, page.tuned, "Earlier answer")
    assert first.shown_number("tuned") == 0
    ask(qtbot, page, "And fork?")
    press(qtbot, page.tuned, "Edit the question")
    assert page.composer.is_editing and page.composer.box.toPlainText() == "And fork?"
    ask(qtbot, page, "And knife?")
    second = page.chat.conversation.path()[1]
    assert second.question == "And knife?" and len(page.chat.conversation.branches(second.key)) == 2
    press(qtbot, page.tuned, "Earlier wording")
    assert page.chat.conversation.path()[1].question == "And fork?"
    press(qtbot, page.tuned, "Go on from here")
    assert [node.key for node in page.chat.conversation.path()] == [first.key]
    page.composer.write("x")
    qtbot.keyClick(page.composer.box, Qt.Key.Key_Escape)


def test_a_correction_becomes_a_row_and_can_be_taken_back(page: PlaygroundPage, qtbot: QtBot) -> None:
    session = page.context.session
    assert session.spec is not None and session.project is not None
    before, project = session.spec.data.path, session.project
    ask(qtbot, page, "Can you spell spoon?")
    qtbot.keyClick(page.window(), Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    panel = page.corrections.panel
    assert panel is not None and not panel.add.isEnabled(), "nothing is changed yet"
    panel.box.setPlainText("s-p-o-o-n, aye.")
    qtbot.waitUntil(lambda: "adds row" in panel.row.text(), timeout=10_000)
    panel.add.click()
    qtbot.waitUntil(lambda: session.spec is not None and session.spec.data.path != before, timeout=10_000)
    rows = (project.folder / session.spec.data.path).read_text().splitlines()
    assert json.loads(rows[-1])["messages"][-1] == {"role": "assistant", "content": "s-p-o-o-n, aye."}
    assert (project.folder / "data" / "preferences.jsonl").is_file()
    node = page.chat.conversation.path()[-1]
    answer = node.answer("tuned")
    assert answer is not None and answer.corrected == "s-p-o-o-n, aye."
    window = page.window()
    assert isinstance(window, Window)
    assert any("is in your data" in text for text in window.toasts.texts())
    undo = next(each for each in window.findChildren(QPushButton) if each.text() == "Undo")
    undo.click()
    assert session.spec.data.path == before and not answer.corrected


def test_a_crash_keeps_the_text_and_loads_again(page: PlaygroundPage, qtbot: QtBot) -> None:
    ask(qtbot, page, "Can you spell spoon?")
    for worker in workers():
        os.kill(worker.pid, signal.SIGKILL)
    sides = page.chat.sides
    qtbot.waitUntil(lambda: all(side.state == "ended" for side in sides.values()), timeout=15_000)
    assert "text above is kept" in sides["tuned"].headline and "killed" in sides["tuned"].problem
    assert page.chat.conversation.path()[-1].answer("tuned") is not None
    assert not page.composer.send.isEnabled()
    again = next(each for each in page.tuned.findChildren(QPushButton) if each.text() == "Load again")
    again.click()
    wait_ready(qtbot, page, ("tuned",))
    ask(qtbot, page, "And fork?")
    assert page.chat.conversation.path()[-1].answer("tuned") is not None


def test_a_worker_that_hangs_is_ended_when_told_to_stop(page: PlaygroundPage, qtbot: QtBot) -> None:
    for side in page.chat.sides.values():
        side._patience.setInterval(200)
    for worker in workers():
        os.kill(worker.pid, signal.SIGSTOP)
    page.composer.write("Can you spell spoon?")
    page.composer.send.click()
    assert page.chat.is_answering
    qtbot.keyClick(page.composer.box, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not page.chat.is_answering, timeout=15_000)
    assert page.chat.sides["tuned"].state == "ended" and "did not stop" in page.chat.sides["tuned"].problem
    qtbot.waitUntil(lambda: not workers(), timeout=15_000)


def test_another_checkpoint_while_it_answers_keeps_what_came(page: PlaygroundPage, qtbot: QtBot) -> None:
    page.sampling.rows["max_tokens"].edited.emit("max_tokens", 400)
    page.composer.write("Say the numbers from 1 to 40")
    page.composer.send.click()
    qtbot.waitUntil(lambda: any(live.text for live in page.chat.live.values()), timeout=LONG)
    page.tuned.slider.move_by(-1)
    assert "tuned" not in page.chat.live
    qtbot.waitUntil(lambda: not page.chat.is_answering, timeout=LONG)
    wait_ready(qtbot, page, ("base", "tuned"))
    page.clear.click()
    assert not page.chat.conversation.nodes and page.chips.isVisible()


def test_checkpoints_the_exact_prompt_and_closing(page: PlaygroundPage, qtbot: QtBot, window: Window) -> None:
    source = page.models.source
    assert source is not None and [stop.at for stop in source.stops] == [6, 12]
    page.tuned.slider.setFocus()
    qtbot.keyClick(window, Qt.Key.Key_BracketLeft)
    assert page.tuned.moment.text() == "Step 6" and page.chat.sides["tuned"].state == "loading"
    wait_ready(qtbot, page, ("tuned",))
    assert page.chat.sides["tuned"].name.endswith("-step6")
    page.composer.write("What color is chocolate?")
    page.sampling.set_system("Be brief.")
    page.sampling.prompt.click()
    qtbot.waitUntil(lambda: _dialogs() != [], timeout=10_000)
    (dialog,) = _dialogs()
    assert "Be brief." in dialog.box.toPlainText() and "What color is chocolate?" in dialog.box.toPlainText()
    dialog.accept()
    window.context.session.close()
    window.close()
    qtbot.waitUntil(lambda: not workers(), timeout=15_000)


def _dialogs() -> list[PromptDialog]:
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, PromptDialog) and each.isVisible()]


def test_the_base_alone_can_be_asked_before_anything_is_tuned(
    window: Window, qtbot: QtBot, starter_project: Project
) -> None:
    page = opened(window, qtbot, starter_project)
    assert page.tuned_place.state() == "nothing" and not page.sides.isVisible()
    qtbot.waitUntil(lambda: bool(page.chips.findChildren(QPushButton)), timeout=15_000)
    page.chips.findChildren(QPushButton)[0].click()
    qtbot.waitUntil(lambda: bool(page.chat.conversation.nodes) and not page.chat.is_answering, timeout=LONG)
    assert page.chat.conversation.path()[0].answer("base") is not None
    assert not page.chips.isVisible()


def test_sampling_is_read_from_its_declaration_and_refuses_in_words(page: PlaygroundPage) -> None:
    row = page.sampling.rows["temperature"]
    row.edited.emit("temperature", 0.0)
    assert page.chat.sampling.temperature == 0
    row.edited.emit("temperature", -1.0)
    assert page.chat.sampling.temperature == 0 and "greater than or equal to 0" in row.help.text()
    page.sampling.rows["seed"].edited.emit("seed", "42")
    assert page.chat.sampling.seed == 42
    page.sampling.reset.click()
    assert page.chat.sampling.seed is None and page.chat.sampling.temperature == 0.7


HOSTILE = (
    '<img src="https://example.org/x.png"> <script>alert(1)</script> ![a](https://example.org/y.png) '
    "[link](file:///etc/passwd)\n\n```html\n<b>bold</b>\n```\n"
)


@pytest.mark.parametrize("grows", [False, True])
def test_words_of_a_model_are_never_html_and_nothing_is_fetched(qtbot: QtBot, qapp: QApplication, grows: bool) -> None:
    answer = AnswerText()
    qtbot.addWidget(answer)
    answer.resize(400, 300)
    if grows:
        answer.show_growing(HOSTILE)
        qtbot.waitUntil(lambda: "script" in answer.shown(), timeout=5_000)
    else:
        answer.show_whole(HOSTILE)
    shown = answer.shown()
    assert '<img src="https://example.org/x.png">' in shown and "<script>alert(1)</script>" in shown
    assert "<b>bold</b>" in shown and "[picture: https://example.org/y.png]" in shown
    for view in answer.findChildren(MarkdownView):
        assert not view.textInteractionFlags() & Qt.TextInteractionFlag.LinksAccessibleByMouse


def test_a_long_stream_ends_as_the_whole_would(qtbot: QtBot, qapp: QApplication) -> None:
    text = "\n\n".join(f"Paragraph {at}: " + "word " * 40 for at in range(30)) + "\n\n```\ncode\n\nmore\n```\n\nend"
    answer, whole = AnswerText(), AnswerText()
    for each in (answer, whole):
        qtbot.addWidget(each)
        each.resize(400, 300)
    for at in range(0, len(text), 400):
        answer.show_growing(text[:at])
        answer._on_gathered()
    answer.show_growing(text)
    answer._on_gathered()
    assert len(answer.findChildren(MarkdownView)) > 2, "earlier paragraphs are left alone"
    whole.show_whole(text)
    assert answer.shown().split() == whole.shown().split()
    answer.show_whole(text)
    assert answer.shown() == whole.shown()


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("one", "one"),
        ("one\n\ntwo", "two"),
        ("one\n\n```\ncode\n\nmore", "```\ncode\n\nmore"),
        ("one\n\n```\ncode\n\nmore\n```\n\nend", "end"),
        ("```\na\n\nb", "```\na\n\nb"),
    ],
)
def test_where_the_last_block_begins(text: str, rest: str) -> None:
    assert text[last_block(text) :] == rest


def _until(qtbot: QtBot, condition: Callable[[], bool]) -> None:
    qtbot.waitUntil(condition, timeout=LONG)


def test_a_gguf_that_is_not_there_says_so(
    window: Window, qtbot: QtBot, starter_project: Project, tmp_path: Path
) -> None:
    page = opened(window, qtbot, starter_project)
    window.show_page("playground", source=str(tmp_path / "gone.gguf"))
    _until(qtbot, lambda: page.chat.sides["tuned"].state == "ended")
    assert "is not there" in page.chat.sides["tuned"].problem and page.tuned.name.text() == "File"
