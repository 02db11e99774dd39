"""The Data page in the real window, over real files: what it shows, how it is driven, and what bad files do to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.data.encoding import EncodingSettings, encode_example
from studio.data.source import open_source
from studio.data.store.view import Query
from studio.gui.controls import Banner, Button
from studio.gui.data_page.columns_dialog import ColumnsDialog
from studio.gui.data_page.dialogs import EditDialog, GoToDialog
from studio.gui.data_page.page import DataPage
from studio.gui.window import Window
from studio.models.source import starter_model
from studio.models.tokenizer import ChatTokenizer
from studio.project.folder import Project
from studio.spec.fresh import fresh_spec
from studio.spec.values import set_values

WAIT = 30_000


def turn(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


ROWS = [turn(f"What is {at} and {at}?", f"It is {2 * at}, captain!") for at in range(1, 31)]


class Shown:
    """A project on a file, opened on the Data page."""

    def __init__(self, window: Window, qtbot: QtBot, path: Path, *settings: str) -> None:
        folder = path.parent / "project"
        spec = set_values(fresh_spec(model="starter", data=str(path), project=folder), settings)
        self.project = Project.create(folder, spec)
        self.window, self.qtbot = window, qtbot
        window.open_project(folder)
        window.show_page("data")
        page = window.page("data")
        assert isinstance(page, DataPage)
        self.page = page

    def wait_counted(self, rows: int | None = None) -> None:
        """Until every row is imported and counted, and the table shows them."""

        def counted() -> bool:
            summary = self.page.feed.summary
            is_known = summary is not None and summary.figures.is_counted and summary.findings is not None
            is_known = is_known and self.page.feed.progress is None
            card = self.page.table_card
            return is_known and not card.is_selecting and (rows is None or card.model.rowCount() == rows)

        self.qtbot.waitUntil(counted, timeout=WAIT)

    def wait_row(self, number: int) -> None:
        """Until a row is shown below the table."""
        title = f"Row {number:,}"
        self.qtbot.waitUntil(lambda: self.page.row_card.number.text() == title, timeout=WAIT)

    def wait_error(self) -> str:
        self.qtbot.waitUntil(lambda: self.page.states.state() == "error", timeout=WAIT)
        return " ".join(text.text() for text in self.page.states.currentWidget().findChildren(Button)) + self.said()

    def said(self) -> str:
        """All words of the state that is shown."""
        from studio.gui.controls import Text

        return "\n".join(text.text() for text in self.page.findChildren(Text) if text.isVisible())

    def banner(self) -> Banner:
        self.qtbot.waitUntil(lambda: any(one.isVisible() for one in self.page.findChildren(Banner)), timeout=WAIT)
        return next(one for one in self.page.findChildren(Banner) if one.isVisible())

    def press(self, text: str) -> None:
        """Once it is there: some say how many rows were counted."""

        def buttons() -> list[Button]:
            return [one for one in self.page.findChildren(Button) if one.isVisible() and one.text() == text]

        self.qtbot.waitUntil(lambda: bool(buttons()), timeout=WAIT)
        self.qtbot.mouseClick(buttons()[0], Qt.MouseButton.LeftButton)

    def texts(self) -> list[str]:
        """First messages in the table, once they are there."""
        model = self.page.table_card.model
        self.qtbot.waitUntil(lambda: all(model.line(row) is not None for row in range(model.rowCount())), timeout=WAIT)
        return [model.index(row, 1).data() for row in range(model.rowCount())]


@pytest.fixture
def shown(window: Window, qtbot: QtBot, tmp_path: Path) -> Shown:
    made = Shown(window, qtbot, write(tmp_path / "rows ü 🚲.jsonl", ROWS), "data.holdout=0.1")
    made.wait_counted(30)
    return made


def test_rows_are_there_with_turns_and_tokens_and_the_rail_says_how_many(shown: Shown) -> None:
    model = shown.page.table_card.model
    assert shown.texts()[4] == "What is 5 and 5?"
    assert model.index(4, 0).data() == "5" and model.index(4, 2).data() == "2" and int(model.index(4, 3).data()) > 10
    assert "30 conversations" in shown.page.facts.text()
    assert shown.window.context.session.num_rows == 30
    lengths = shown.window.context.session.row_lengths
    assert lengths is not None and lengths.count == 30


def test_the_chosen_row_shows_the_tokens_and_counts_of_training(shown: Shown, qtbot: QtBot) -> None:
    shown.page.table_card.table.choose(6)
    shown.wait_row(7)
    tokenizer = ChatTokenizer.load(starter_model())
    assert shown.page.feed.head is not None and shown.page.feed.head.reader is not None
    row = encode_example(shown.page.feed.head.reader.read(ROWS[6]), tokenizer, EncodingSettings())
    card = shown.page.row_card
    qtbot.waitUntil(lambda: row.text[:60] in card.tokens.accessibleDescription(), timeout=WAIT)
    assert card.counts.accessibleName() == (
        f"{row.num_trained:,} trained, {len(row.ids) - row.num_trained:,} read only, 0 cut off"
    )


def test_a_row_that_is_cut_says_so_in_table_card_and_histogram(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    rows = [*ROWS, turn("Tell me more", "It is a long answer, captain. " * 30)]
    shown = Shown(window, qtbot, write(tmp_path / "rows.jsonl", rows), "train.max_length=64", "data.holdout=0")
    shown.wait_counted(31)
    model = shown.page.table_card.model
    shown.texts()
    assert "tokens are cut off" in model.index(30, 4).data()
    shown.page.table_card.go_to(30)
    shown.wait_row(31)
    counts = shown.page.row_card.counts
    qtbot.waitUntil(lambda: counts.isVisible() and not counts.accessibleName().endswith(" 0 cut off"), timeout=WAIT)
    sentence = shown.page.length_card.sentence.text()
    assert sentence.startswith("1 row (3.2 %) is longer and loses its end")
    shown.page.length_card.show_button.click()
    qtbot.waitUntil(lambda: model.rowCount() == 1, timeout=WAIT)
    shown.page.length_card.raise_button.click()
    spec = window.context.session.spec
    assert spec is not None and spec.train.max_length > 64
    qtbot.waitUntil(lambda: "No row is cut" in shown.page.length_card.sentence.text(), timeout=WAIT)
    window.context.session.undo_stack.undo()
    qtbot.waitUntil(lambda: shown.page.length_card.sentence.text() == sentence, timeout=WAIT)


def test_search_filter_and_sort_by_keyboard_and_mouse(shown: Shown, qtbot: QtBot) -> None:
    card = shown.page.table_card
    qtbot.keyClick(shown.window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(card.search.hasFocus)
    qtbot.keyClicks(card.search, "7 AND")
    qtbot.waitUntil(lambda: card.model.rowCount() == 3, timeout=WAIT)
    assert shown.texts() == [f"What is {at} and {at}?" for at in (7, 17, 27)]
    card.search.clear()
    qtbot.waitUntil(lambda: card.model.rowCount() == 30, timeout=WAIT)
    card.ask(Query(filter="held_out"))
    qtbot.waitUntil(lambda: card.model.rowCount() == 3, timeout=WAIT)
    card.show_filter("all")
    card.table.sort_wanted.emit(3)
    qtbot.waitUntil(lambda: card.query.sort == "tokens" and card.model.rowCount() == 30, timeout=WAIT)
    shown.texts()
    qtbot.waitUntil(lambda: _descends([card.model.cell(row).tokens for row in range(30)]), timeout=WAIT)


def test_each_key_is_searched_for_at_once(shown: Shown, qtbot: QtBot) -> None:
    card = shown.page.table_card
    shown.wait_counted()
    qtbot.keyClicks(card.search, "7 and 17")
    assert card.query.search == "7 and 17", "no search of an earlier key is waited for"
    qtbot.waitUntil(lambda: not card.is_selecting and card.model.rowCount() == 1, timeout=WAIT)
    card.search.setText("7 and")
    card.table.sort_wanted.emit(3)
    assert (card.query.search, card.query.sort) == ("7 and", "tokens"), "a sort meanwhile forgets none of them"
    qtbot.waitUntil(lambda: card.model.rowCount() == 3, timeout=WAIT)


def _descends(values: list[int]) -> bool:
    return values == sorted(values, reverse=True)


def test_a_search_without_a_find_says_so_and_stays_alive(shown: Shown, qtbot: QtBot) -> None:
    card = shown.page.table_card
    card.search.setText("zebra '%_")
    qtbot.waitUntil(lambda: card.states.state() == "nothing", timeout=WAIT)
    assert "zebra" in card.nothing.text()
    card.search.clear()
    qtbot.waitUntil(lambda: card.states.state() == "table" and card.model.rowCount() == 30, timeout=WAIT)


def test_home_end_and_arrows_move_through_the_rows(shown: Shown, qtbot: QtBot) -> None:
    table = shown.page.table_card.table
    table.setFocus()
    qtbot.keyClick(table, Qt.Key.Key_End)
    shown.wait_row(30)
    qtbot.keyClick(table, Qt.Key.Key_Up)
    shown.wait_row(29)
    qtbot.keyClick(table, Qt.Key.Key_Home)
    shown.wait_row(1)


def test_the_chosen_row_stays_in_sight_when_the_window_becomes_lower(shown: Shown, qtbot: QtBot) -> None:
    table = shown.page.table_card.table
    shown.texts()
    lowest = table.rowAt(table.viewport().height() - 1)
    table.choose(lowest - 1 if lowest > 0 else 12)
    height = table.viewport().height()
    shown.window.resize(shown.window.width(), 640)
    qtbot.waitUntil(lambda: table.viewport().height() < height, timeout=WAIT)
    assert table.viewport().rect().contains(table.visualRect(table.currentIndex()).center())


def test_a_row_can_be_gone_to_by_its_number(shown: Shown, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GoToDialog, "exec", lambda dialog: dialog.number.setValue(23) or 1)
    shown.page.acts.go_to_row(1, shown.page.table_card.go_to)
    shown.wait_row(23)


def test_leaving_a_row_out_changes_what_is_trained_never_the_file_and_can_be_undone(shown: Shown, qtbot: QtBot) -> None:
    session = shown.window.context.session
    original = Path(session.placed_spec.data.path)  # type: ignore[union-attr]
    before = original.read_bytes()
    shown.page.table_card.table.choose(2)
    shown.wait_row(3)
    shown.page.table_card.table.setFocus()
    qtbot.keyClick(shown.page.table_card.table, Qt.Key.Key_Delete)
    shown.wait_counted(29)
    copy = Path(session.placed_spec.data.path)  # type: ignore[union-attr]
    assert copy.parent == shown.project.folder / "data" and session.spec.data.path.startswith("data/")  # type: ignore[union-attr]
    assert [row.number for row in open_source(copy).rows()] == [1, 2, *range(4, 31)]
    assert original.read_bytes() == before
    session.undo_stack.undo()
    shown.wait_counted(30)
    assert Path(session.placed_spec.data.path) == original  # type: ignore[union-attr]


def test_a_row_can_be_rewritten(shown: Shown, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    def rewrite(dialog: EditDialog) -> int:
        dialog._boxes[-1][1].setPlainText(" ")
        assert not dialog.save.isEnabled() and "empty answer" in dialog.problem.text()
        dialog._boxes[-1][1].setPlainText("Ten, aye.")
        assert dialog.save.isEnabled()
        return 1

    monkeypatch.setattr(EditDialog, "exec", rewrite)
    shown.page.table_card.table.choose(4)
    shown.wait_row(5)
    qtbot.waitUntil(lambda: shown.page.chosen.row == ROWS[4], timeout=WAIT)
    shown.page.chosen.edit()
    session = shown.window.context.session
    qtbot.waitUntil(lambda: session.spec.data.path.startswith("data/"), timeout=WAIT)  # type: ignore[union-attr]
    rows = list(open_source(Path(session.placed_spec.data.path)).rows())  # type: ignore[union-attr]
    assert rows[4].value == turn("What is 5 and 5?", "Ten, aye.") and rows[3].value == ROWS[3]
    qtbot.waitUntil(lambda: shown.page.chosen.row == rows[4].value, timeout=WAIT)


def test_findings_are_fixed_by_one_click(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    rows = [*ROWS, ROWS[0], turn("what is 2 and 2", "it is 4 captain"), turn("Write to a.b@example.org", "Done.")]
    shown = Shown(window, qtbot, write(tmp_path / "rows.jsonl", rows), "data.holdout=0")
    shown.wait_counted(33)
    found = {one.key: one for one in shown.page.feed.summary.findings}  # type: ignore[union-attr]
    assert found["repeats"].count == 2 and found["emails"].count == 1
    shown.page.findings_card.fix_wanted.emit(found["repeats"])
    shown.wait_counted(31)
    shown.page.findings_card.fix_wanted.emit(found["emails"])
    qtbot.waitUntil(lambda: not shown.page.feed.summary.findings, timeout=WAIT)  # type: ignore[union-attr]
    path = Path(window.context.session.placed_spec.data.path)  # type: ignore[union-attr]
    text = path.read_text(encoding="utf-8")
    assert "[e-mail]" in text and "@" not in text
    assert len(list((shown.project.folder / "data").iterdir())) == 2


def test_bad_rows_are_told_shown_and_left_out_on_request(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    rows: list[Any] = [*ROWS, '{"messages": [', {"messages": []}]
    shown = Shown(window, qtbot, write(tmp_path / "rows.jsonl", rows))
    shown.wait_counted(32)
    banner = shown.banner()
    assert (
        "2 rows cannot be used." in banner.accessibleName() and "The other 30 rows are fine." in banner.accessibleName()
    )
    assert shown.page.badge.text() == "2 rows set aside"
    shown.press("Show them")
    qtbot.waitUntil(lambda: shown.page.table_card.model.rowCount() == 2, timeout=WAIT)
    assert "not closed" in shown.texts()[0] and "no turns" in shown.texts()[1]
    shown.press("Use 30 rows")
    assert window.context.session.spec.data.bad_rows == "skip"  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: not any(one.isVisible() for one in shown.page.findChildren(Banner)), timeout=WAIT)


def test_of_a_damaged_file_the_good_rows_can_be_used(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS)[:-40])
    shown = Shown(window, qtbot, path)
    assert "ends in the middle of row 30. The 29 rows before it are fine." in shown.banner().accessibleName()
    assert shown.page.next_button.role == "secondary"
    shown.press("Use 29 rows")
    session = window.context.session
    qtbot.waitUntil(lambda: session.spec.data.path.startswith("data/"), timeout=WAIT)  # type: ignore[union-attr]
    shown.wait_counted(29)
    copy = Path(session.placed_spec.data.path)  # type: ignore[union-attr]
    assert len(list(open_source(copy).rows())) == 29
    qtbot.waitUntil(lambda: shown.page.next_button.role == "primary", timeout=WAIT)  # the old file's rows are as many


def test_columns_that_nobody_can_guess_are_asked_for(
    window: Window, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"customer": f"Where is {at}?", "reply_text": f"At {at}.", "id": at} for at in range(8)]
    shown = Shown(window, qtbot, write(tmp_path / "rows.jsonl", rows))
    assert "customer, reply_text, id" in shown.banner().accessibleName()

    def map_them(dialog: ColumnsDialog) -> int:
        assert not dialog.use.isEnabled()
        dialog.form.set_chosen("question_answer")
        dialog.form.chosen.emit("question_answer")
        for role, column in (("question", "customer"), ("answer", "reply_text")):
            dialog._roles[role].set_chosen(column)
            dialog._roles[role].chosen.emit(column)
        assert dialog.use.isEnabled() and "Where is 0?" in [
            text.text() for text in dialog._samples[0].findChildren(type(dialog.reason))
        ]
        return 1

    monkeypatch.setattr(ColumnsDialog, "exec", map_them)
    shown.press("Map columns…")
    shown.wait_counted(8)
    assert shown.texts()[3] == "Where is 3?"
    spec = window.context.session.spec
    assert spec is not None and spec.data.columns == {"question": "customer", "answer": "reply_text"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.pdf", b"%PDF-1.7", "is a PDF"),
        ("model.gguf", b"GGUF\x03", "is a GGUF model, not data"),
        ("empty.jsonl", b"", "is empty"),
        ("photo.jsonl", bytes(range(256)) * 40, "binary data"),
        ("x" * 240 + ".jsonl", b'{"a": \n', "can be read"),
    ],
)
def test_a_wrong_file_is_explained_and_another_can_be_used(
    window: Window, qtbot: QtBot, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    shown = Shown(window, qtbot, tmp_path / name)
    assert said in shown.wait_error()
    shown.press("Use the starter data")
    shown.wait_counted(300)
    assert shown.page.states.state() == "full"


def test_a_file_that_vanishes_while_open_can_still_be_looked_at(shown: Shown, qtbot: QtBot) -> None:
    path = shown.page.feed.path
    assert path is not None
    content = path.read_bytes()
    path.unlink()
    shown.window.show_page("home")
    shown.window.show_page("data")
    assert "is not there any more" in shown.banner().accessibleName()
    shown.page.table_card.table.choose(8)
    shown.wait_row(9)
    path.write_bytes(content)
    shown.press("Look again")
    qtbot.waitUntil(lambda: not any(one.isVisible() for one in shown.page.findChildren(Banner)), timeout=WAIT)


def test_a_file_that_changes_is_read_again(shown: Shown) -> None:
    path = shown.page.feed.path
    assert path is not None
    write(path, ROWS[:12])
    shown.window.show_page("home")
    shown.window.show_page("data")
    shown.wait_counted(12)


def test_a_dropped_file_becomes_the_data(shown: Shown, qtbot: QtBot, tmp_path: Path) -> None:
    other = write(tmp_path / "other.jsonl", ROWS[:5])
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(other))])
    window = shown.window
    from PySide6.QtGui import QDragEnterEvent

    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    place = QPointF(400, 300)
    QApplication.sendEvent(window, QDragEnterEvent(place.toPoint(), copy, data, left, none))
    QApplication.sendEvent(window, QDropEvent(place, copy, data, left, none))
    qtbot.waitUntil(lambda: window.context.session.spec.data.path == str(other), timeout=WAIT)  # type: ignore[union-attr]
    shown.wait_counted(5)


def test_the_held_out_field_takes_a_share_or_rows_and_refuses_nonsense(shown: Shown) -> None:
    field, session = shown.page.holdout, shown.window.context.session
    assert field.text() == "10 %"
    for written, value in (("20 %", 0.2), ("5", 0.05), ("7 rows", 7.0), ("0", 0.0)):
        field.setText(written)
        field.editingFinished.emit()
        assert session.spec.data.holdout == pytest.approx(value)  # type: ignore[union-attr]
    field.setText("many")
    field.editingFinished.emit()
    assert session.spec.data.holdout == 0.0  # type: ignore[union-attr]


def test_no_path_is_an_invitation(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    shown = Shown(window, qtbot, write(tmp_path / "rows.jsonl", ROWS))
    session = window.context.session
    assert session.spec is not None
    session.replace(
        session.spec.model_copy(update={"data": session.spec.data.model_copy(update={"path": ""})}), "no data"
    )
    assert shown.page.states.state() == "empty"
    shown.press("Use the starter data")
    shown.wait_counted(300)


def test_an_import_that_dies_leaves_what_is_there_and_can_be_tried_again(
    window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    rows = [turn(f"What is {at} and {at}?", f"It is {2 * at}.") for at in range(15_000)]
    shown = Shown(window, qtbot, write(tmp_path / "rows.jsonl", rows), "data.holdout=0")
    feed = shown.page.feed
    qtbot.waitUntil(lambda: feed._job is not None and feed._job._process is not None, timeout=WAIT)
    feed._job._process._process.kill()  # type: ignore[union-attr]
    assert "Importing the rows stopped." in shown.banner().accessibleName()
    assert "killed" in shown.banner().accessibleName()
    assert shown.texts()[0] == "What is 0 and 0?"
    shown.press("Try again")
    qtbot.waitUntil(lambda: feed.is_imported and shown.page.table_card.model.rowCount() == 15_000, timeout=60_000)


def test_how_the_model_sees_a_row_comes_from_a_process_that_may_die(shown: Shown, qtbot: QtBot) -> None:
    seer, card = shown.page.chosen.seer, shown.page.row_card
    qtbot.waitUntil(lambda: bool(card.tokens.accessibleDescription()), timeout=WAIT)
    seer._job._process._process.kill()  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: seer._job is None, timeout=WAIT)
    shown.page.table_card.table.choose(11)
    qtbot.waitUntil(lambda: "What is 12 and 12?" in card.tokens.accessibleDescription(), timeout=WAIT)


def test_an_import_can_be_cancelled_and_taken_up_again(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    rows = [turn(f"What is {at} and {at}?", f"It is {2 * at}.") for at in range(60_000)]
    shown = Shown(window, qtbot, write(tmp_path / "rows.jsonl", rows), "data.holdout=0")
    feed = shown.page.feed
    qtbot.waitUntil(lambda: feed.store is not None and feed.store.num_rows > 0, timeout=WAIT)
    shown.press("Cancel import")
    if feed.is_imported:  # it was quicker than the person
        return
    assert "The import was cancelled" in shown.banner().accessibleName()
    shown.press("Import all")
    qtbot.waitUntil(lambda: feed.is_imported and shown.page.table_card.model.rowCount() == 60_000, timeout=120_000)


def test_rows_of_one_project_are_never_shown_in_another(shown: Shown, qtbot: QtBot, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    (tmp_path / "deeper").mkdir()
    path = write(tmp_path / "deeper" / "rows ü 🚲.jsonl", ROWS[:3])
    Project.create(folder, fresh_spec(model="starter", data=str(path), project=folder))
    shown.window.open_project(folder)
    assert shown.page.feed.store is None and shown.page.feed.summary is None
    shown.wait_counted(3)
