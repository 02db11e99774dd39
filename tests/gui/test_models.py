"""Models in the real window: what is here, a search, a download that pauses and goes on, deleting, picking."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QAbstractButton, QWidget
from pytestqt.qtbot import QtBot

from studio.gui.context import Context
from studio.gui.models_page import page as models_page
from studio.gui.models_page.downloads import Progress, downloads_of
from studio.gui.models_page.page import ModelsPage
from studio.gui.models_page.picker import ModelPicker
from studio.gui.models_page.rows import ModelRow
from studio.gui.models_page.use import use_model
from studio.gui.window import Window
from studio.models.hub_place import cache_dir
from studio.models.streamed_copies import copies_dir, sign
from studio.project.folder import Project
from studio.protocol.events import Phase
from tests.helpers.hub_server import Hub, serve
from tests.unit.models.test_hub import a_repository
from tests.unit.models.test_on_disk import make_cached, make_model

NAME = "org/Small-Chat"


@pytest.fixture
def hub(window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """After the window, which applies preferences to the environment when it is made."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    listed = [{"id": NAME, "gated": "manual", "pipeline_tag": "text-generation", "tags": ["license:mit"]}]
    with serve(Hub(NAME, a_repository(25_000_000), listed=listed)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def page(qtbot: QtBot, window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelsPage:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    window.show_page("models")
    found = window.findChild(ModelsPage)
    assert isinstance(found, ModelsPage)
    qtbot.waitUntil(lambda: found.local.states.state() == "full")
    return found


def press(root: QWidget, name: str) -> None:
    """Press the visible button that is called so."""
    found = [button for button in root.findChildren(QAbstractButton) if button.accessibleName() == name]
    assert len(found) == 1, name
    assert found[0].isVisible() and found[0].isEnabled()
    found[0].click()


def test_what_is_here_is_listed_with_its_facts(
    qtbot: QtBot, page: ModelsPage, context: Context, tmp_path: Path
) -> None:
    mine = make_model(tmp_path / "mine" / "my model 🙂")
    context.set_preferences(context.preferences.model_copy(update={"model_folders": [str(mine.parent)]}))
    page.enter()
    qtbot.waitUntil(lambda: str(mine) in page.local.rows)
    assert "weights" in page.local.rows["starter"].facts.text()
    assert "250 weights, Llama" in page.local.rows[str(mine)].facts.text()
    assert page.facts.text().startswith("2 models")


def test_a_download_pauses_goes_on_where_it_was_and_is_then_here(qtbot: QtBot, hub: Hub, page: ModelsPage) -> None:
    hub.pause = 0.02
    page.hub.field.setText("small")
    qtbot.waitUntil(lambda: page.hub.states.state() == "full", timeout=20_000)
    row = page.hub.rows[NAME]
    assert row.terms.isVisible() and "mit" in row.facts.text() and not row.pause.isVisible()
    press(page, f"Download: {NAME}")
    qtbot.waitUntil(lambda: page.hub.downloads.progress.get(NAME, Progress()).done > 500_000, timeout=30_000)
    assert row.bar.isVisible() and "of 25 MB" in row.facts.text()
    press(page, f"Pause: {NAME}")
    assert "Paused at" in row.facts.text() and row.get.text() == "Resume"
    partial = _partials()[0]
    qtbot.waitUntil(lambda: not page.context.tasks.is_busy)
    kept = partial.stat().st_size
    hub.pause = 0
    row.get.click()
    qtbot.waitUntil(lambda: NAME in page.local.rows and page.local.rows[NAME].facts.text() != "", timeout=30_000)
    qtbot.waitUntil(lambda: not page.hub.downloads.is_running(NAME), timeout=30_000)
    assert hub.sizes_asked()[-1] >= kept > 0
    qtbot.waitUntil(row.here.isVisible, timeout=10_000)
    assert row.use.isVisible() and not row.bar.isVisible()


def test_a_streamed_copy_is_listed_and_can_be_deleted(
    qtbot: QtBot, page: ModelsPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    copy = copies_dir() / f"{'b' * 24}-frozen-exact"
    copy.mkdir(parents=True)
    (copy / "layer-000.bin").write_bytes(bytes(3_000_000))
    (copy / "store.json").write_text("{}")
    sign(copy, "org/Small-Chat")
    page.enter()
    qtbot.waitUntil(lambda: len(page.local.copies) == 1)
    assert len(page.findChildren(ModelRow)) >= 2 and page.facts.text().startswith("1 model,")
    asked: list[str] = []
    monkeypatch.setattr(models_page, "confirm", lambda parent, title, *_, **__: bool(asked.append(title)) or True)
    name = "Delete the streamed copy of org/Small-Chat, fp32"
    buttons = [one for one in page.findChildren(QAbstractButton) if one.accessibleName() == name]
    qtbot.waitUntil(buttons[0].isVisible)  # Qt shows what was added on its next round
    press(page, name)
    qtbot.waitUntil(lambda: not page.local.copies)
    assert asked == ["Delete the streamed copy of org/Small-Chat?"] and not copy.exists()


def _partials() -> list[Path]:
    return list(cache_dir().rglob("*.tunesmith.part"))


def test_what_does_not_fit_can_be_left_out(qtbot: QtBot, hub: Hub, page: ModelsPage, context: Context) -> None:
    context.machine.look()
    qtbot.waitUntil(lambda: context.machine.resources is not None)
    for size in (10**9, 10**13):
        hub.listed.append({"id": f"org/small-{size}", "safetensors": {"parameters": {"BF16": size}, "total": size}})
    page.hub.field.setText("small-1")
    qtbot.waitUntil(lambda: len(page.hub.rows) == 2, timeout=20_000)
    assert "tunes from about 2.0 GB" in page.hub.rows[f"org/small-{10**9}"].facts.text()
    page.hub.fits.click()
    assert page.hub.rows[f"org/small-{10**13}"].isHidden() and not page.hub.rows[f"org/small-{10**9}"].isHidden()


def test_a_gated_model_says_what_to_do(qtbot: QtBot, hub: Hub, page: ModelsPage) -> None:
    page.hub.field.setText("small")
    qtbot.waitUntil(lambda: page.hub.states.state() == "full", timeout=20_000)
    hub.gated = True
    press(page, f"Download: {NAME}")
    row = page.hub.rows[NAME]
    qtbot.waitUntil(lambda: "terms accepted" in row.facts.text(), timeout=20_000)
    assert row.get.isVisible() and not page.hub.downloads.is_running(NAME)


def test_a_download_that_fails_says_why_and_can_be_tried_again(qtbot: QtBot, hub: Hub, page: ModelsPage) -> None:
    hub.damaged = True
    page.hub.field.setText("small")
    qtbot.waitUntil(lambda: page.hub.states.state() == "full", timeout=20_000)
    press(page, f"Download: {NAME}")
    row = page.hub.rows[NAME]
    qtbot.waitUntil(lambda: "checksum is wrong" in row.facts.text(), timeout=30_000)
    assert row.get.isVisible() and row.get.text() == "Resume"


def test_the_hub_out_of_reach_leaves_the_rest_as_it_is(
    qtbot: QtBot, hub: Hub, page: ModelsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    page.hub.field.setText("small")
    qtbot.waitUntil(lambda: page.hub.states.state() == "error", timeout=20_000)
    assert page.local.states.state() == "full"
    page.hub.field.clear()
    qtbot.waitUntil(lambda: page.hub.states.state() == "empty")


def test_deleting_asks_with_size_and_users_and_frees_the_disk(
    qtbot: QtBot,
    window: Window,
    page: ModelsPage,
    context: Context,
    starter_project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = make_cached(tmp_path / "cache", "org/small")
    context.session.open(starter_project.folder)
    context.session.edit("model.source=org/small", label="Model")
    window.show_page("models")
    qtbot.waitUntil(lambda: "org/small" in page.local.rows and page.local.rows["org/small"].isVisible())
    asked: list[str] = []
    monkeypatch.setattr(models_page, "confirm", lambda *words, **_: asked.append(" ".join(map(str, words[1:]))) or True)
    press(page, "Delete org/small")
    qtbot.waitUntil(lambda: "org/small" not in page.local.rows)
    assert not root.exists() and starter_project.folder.name in asked[0] and "Delete 1" in asked[0]


def test_picking_gives_a_source_and_a_bad_folder_is_refused_in_words(
    qtbot: QtBot, window: Window, context: Context, page: ModelsPage, tmp_path: Path
) -> None:
    picker = ModelPicker(context, window)
    qtbot.addWidget(picker)
    picker.open()
    qtbot.waitUntil(lambda: picker.local.states.state() == "full")
    (tmp_path / "no model").mkdir()
    picker.try_folder(str(tmp_path / "no model"))
    qtbot.waitUntil(lambda: "no config.json" in picker.problem.text())
    press(picker, "Use Starter")
    assert picker.source == "starter" and not picker.isVisible()


def test_a_picker_that_is_closed_at_once_hears_nothing_more(
    qtbot: QtBot, window: Window, context: Context, hub: Hub
) -> None:
    for _ in range(5):
        picker = ModelPicker(context, window)
        picker.open()
        picker.hub.field.setText("small")
        picker.hub.search_now()
        picker.reject()
        picker.deleteLater()
    qtbot.waitUntil(lambda: not context.tasks.is_busy, timeout=20_000)  # an answer to what is gone would raise here


def test_another_model_is_one_edit(context: Context, window: Window, starter_project: Project, tmp_path: Path) -> None:
    context.session.open(starter_project.folder)
    mine = make_model(starter_project.folder / "models" / "mine")
    assert use_model(context, str(mine))
    assert context.session.spec is not None and context.session.spec.model.source == "models/mine"
    context.session.undo_stack.undo()
    assert context.session.spec.model.source == "starter"


def test_speed_and_time_left_come_from_the_last_seconds(context: Context) -> None:
    downloads, now = downloads_of(context), [0.0]
    assert downloads_of(context) is downloads
    downloads.clock = lambda: now[0]
    downloads.progress["m"] = Progress(done=500e6, total=2e9)
    downloads._jobs["m"], downloads._marks["m"] = object(), deque()  # type: ignore[assignment]
    for second in range(4):
        now[0] = float(second)
        downloads._on_event("m", Phase(name="x", done=500e6 + second * 100e6, total=2e9, unit="bytes"))
    found = downloads.progress["m"]
    assert found.speed == pytest.approx(100e6)  # the half gigabyte of an earlier try is no speed
    assert found.words() == "0.80 GB of 2.0 GB, 0.10 GB/s, 12 s left"
    downloads._jobs.clear()
