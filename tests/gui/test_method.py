"""The method wizard in the real window: steps, cards, forecasts, making it fit, problems, overriding, starting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from studio.gui.context import Context
from studio.gui.controls import Button
from studio.gui.method_page.page import MethodPage
from studio.gui.window import Window
from studio.methods import METHODS
from studio.models.source import starter_model
from studio.project.folder import Project
from studio.project.override import read_override
from studio.project.run_keeping import read_notes
from tests.gui.samples import FEW_STEPS
from tests.helpers.hub_server import Hub, serve

MB = 1_000_000


@pytest.fixture
def page(qtbot: QtBot, window: Window, context: Context, starter_project: Project) -> MethodPage:
    """The page on the starter, its forecasts there."""
    context.machine.look()
    qtbot.waitUntil(lambda: context.machine.resources is not None)
    context.session.open(starter_project.folder)
    window.show_page("method")
    found = window.findChild(MethodPage)
    assert isinstance(found, MethodPage)
    # With the rows' lengths: the number of steps follows from them.
    qtbot.waitUntil(lambda: found.forecasts.chosen is not None and found.forecasts.chosen.steps > 0, timeout=20_000)
    return found


def leave_free(qtbot: QtBot, context: Context, page: MethodPage, free: int) -> None:
    """Another program takes the memory."""
    context.machine.look = lambda: None  # type: ignore[method-assign]
    assert context.machine.resources is not None
    context.machine.resources = replace(context.machine.resources, gpus=(), ram_free=free)
    before = page.forecasts.outlook
    page.forecasts.refresh()
    qtbot.waitUntil(lambda: page.forecasts.outlook is not before)


def chosen_bytes(page: MethodPage) -> int:
    found = page.forecasts.chosen
    assert found is not None
    return found.peak_bytes


def test_without_a_project_it_says_what_to_do(window: Window) -> None:
    window.show_page("method")
    page = window.findChild(MethodPage)
    assert page is None or (isinstance(page, MethodPage) and page.states.state() == "empty")


def test_it_opens_at_the_method_with_a_card_for_each_and_a_verdict_on_it(page: MethodPage) -> None:
    assert page.wizard.current == "method"
    shown = [card for card in page.method.cards.values() if not card.isHidden()]
    assert 5 <= len(shown) <= 6
    page.method.more.click()
    for card in page.method.cards.values():
        assert card.verdict.text.text() != "not known yet" and "GB free" in card.main.bar.accessibleDescription()
    assert set(page.method.cards) == set(METHODS.all())
    assert all(not card.isHidden() for card in page.method.cards.values())


def test_the_palette_leads_to_the_check_and_starts_from_there_and_what_is_cancelled_does_not_train(
    page: MethodPage, window: Window, context: Context, qtbot: QtBot, starter_project: Project
) -> None:
    def start() -> None:
        window.palette_view.open()
        qtbot.keyClicks(window.palette_view.query, "start training")
        qtbot.keyClick(window.palette_view.query, Qt.Key.Key_Return)

    begun: list[bool] = []
    page.starter.progressed.connect(lambda *_: begun.append(True))
    start()
    assert page.wizard.current == "check" and not begun, "nothing starts that was not looked at"
    start()
    assert begun
    page.foot.cancelled.emit()
    qtbot.waitUntil(lambda: not context.tasks.is_busy, timeout=30_000)
    assert not starter_project.runs()


def test_choosing_a_method_is_one_edit_with_its_own_settings(qtbot: QtBot, page: MethodPage, context: Context) -> None:
    before = chosen_bytes(page)
    page.method.cards["full"].radio.click()
    spec = context.session.spec
    assert spec is not None and spec.method.key == "full"
    qtbot.waitUntil(lambda: chosen_bytes(page) != before)
    assert page.method.plan.peak.name.text().startswith(METHODS.get("full").title)
    assert page.own_settings.isHidden()  # it has none of its own
    context.session.undo_stack.undo()
    assert context.session.spec is not None and context.session.spec.method.key == "lora"
    assert page.method.cards["lora"].radio.isChecked() and not page.method.cards["full"].radio.isChecked()


def test_an_edit_moves_the_forecast_and_says_by_how_much(qtbot: QtBot, page: MethodPage, context: Context) -> None:
    page.lead_to("train.batch_size")
    assert page.wizard.current == "settings" and page.settings.train_form is not None
    row = page.settings.train_form.row("train.batch_size")
    assert row is not None
    before = chosen_bytes(page)
    row.edited.emit("train.batch_size", 64)
    qtbot.waitUntil(lambda: chosen_bytes(page) > before)
    assert row.effect.text().startswith("+ ")


def test_a_short_plan_can_be_made_to_fit_in_one_edit(qtbot: QtBot, page: MethodPage, context: Context) -> None:
    context.session.edit("method.key=full", "train.batch_size=16", label="Large")
    before = page.forecasts.outlook
    qtbot.waitUntil(lambda: page.forecasts.outlook is not before and "full" in page.forecasts.outlook.by_method)
    leave_free(qtbot, context, page, chosen_bytes(page) - 40 * MB)
    assert not page.foot.on_button.isEnabled() and page.foot.anyway_button.isVisible()
    assert "missing" in page.foot.reason.text.text()
    fit = page.method.plan.fit
    assert not fit.isHidden() and fit.rows
    fit.rows[0].check.click()
    qtbot.waitUntil(lambda: not fit.sum.isHidden() and fit.sum.text.text().startswith("Then "))
    wanted = fit.settings()
    count = context.session.undo_stack.count()
    peak = chosen_bytes(page)
    fit.sum.apply.click()
    assert context.session.undo_stack.count() == count + 1 and wanted
    qtbot.waitUntil(lambda: chosen_bytes(page) < peak)


def test_a_goal_sets_what_it_proposes_and_can_be_undone(page: MethodPage, context: Context) -> None:
    page.bar.buttons["goal"].click()
    page.goal.cards["facts"].radio.click()
    spec = context.session.spec
    assert spec is not None and spec.goal.kind == "facts" and spec.method.model_dump()["rank"] == 64
    context.session.undo_stack.undo()
    assert context.session.spec is not None and context.session.spec.goal.kind == ""
    assert not page.goal.cards["facts"].radio.isChecked()


def test_problems_close_the_way_and_lead_to_their_field(qtbot: QtBot, page: MethodPage, context: Context) -> None:
    context.session.edit("train.steps=20", "train.warmup=40", label="Warm-up")
    page.lead_to("train.warmup")
    assert not page.foot.on_button.isEnabled() and "warm-up" in page.foot.reason.text.text()
    assert page.settings.train_form is not None
    row = page.settings.train_form.row("train.warmup")
    assert row is not None and "never reach" in row.help.text()
    row.edited.emit("train.warmup", 0.1)
    assert page.foot.on_button.isEnabled() and row.help.text() == row.facts.help
    page.foot.on_button.click()
    assert page.wizard.current == "check"
    context.session.edit("data.path=gone.jsonl", label="Data")
    banner = [button for button in page.check.findChildren(QAbstractButton) if button.text() == "Change it"]
    assert banner and not page.foot.on_button.isEnabled()
    banner[0].click()
    assert page.wizard.current == "data"


def test_of_all_buttons_of_the_check_one_is_the_one_to_press(qtbot: QtBot, page: MethodPage, context: Context) -> None:
    def leading() -> list[str]:
        buttons = [button for button in page.findChildren(Button) if button.isVisible() and button.isEnabled()]
        return [button.text() for button in buttons if button.role == "primary"]

    page.foot.on_button.click()
    page.foot.on_button.click()
    assert page.wizard.current == "check" and leading() == ["Start training"]
    context.session.edit("data.path=gone.jsonl", "train.steps=20", "train.warmup=40", label="Two mistakes")
    qtbot.waitUntil(lambda: leading() == ["Change it"])
    assert len([button for button in page.check.findChildren(Button) if button.text() == "Change it"]) >= 2


def test_start_makes_a_run_and_leads_to_train(
    qtbot: QtBot, page: MethodPage, context: Context, window: Window, starter_project: Project
) -> None:
    context.session.edit(*FEW_STEPS, label="Few steps")
    page.lead_to("method.key")
    for _ in range(2):
        qtbot.waitUntil(page.foot.on_button.isEnabled)
        page.foot.on_button.click()
    assert page.wizard.current == "check" and page.foot.on_button.text() == "Start training"
    page.foot.on_button.setFocus()
    qtbot.keyClick(page.foot.on_button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: bool(starter_project.runs()), timeout=60_000)
    run = starter_project.runs()[0]
    qtbot.waitUntil(lambda: not page.starter.is_busy, timeout=60_000)
    assert read_override(run) is None
    qtbot.waitUntil(lambda: run.state().status in ("done", "failed"), timeout=120_000)
    assert run.state().status == "done"


def test_an_override_is_recorded_in_the_run(
    qtbot: QtBot, page: MethodPage, context: Context, starter_project: Project
) -> None:
    context.session.edit(*FEW_STEPS, label="Few steps")
    leave_free(qtbot, context, page, 300 * MB)
    page.foot.anyway_button.click()
    page.foot.on_button.click()
    page.foot.on_button.click()
    assert page.wizard.current == "check" and page.wizard.is_overridden(page.situation)
    page.foot.on_button.click()
    qtbot.waitUntil(lambda: not page.starter.is_busy and bool(starter_project.runs()), timeout=60_000)
    run = starter_project.runs()[0]
    found = read_override(run)
    assert found is not None and found.limit_bytes == 300 * MB and "missing" in found.reason
    assert found.reason in read_notes(run)
    qtbot.waitUntil(lambda: run.state().status in ("done", "failed"), timeout=120_000)
    assert found.reason in run.events_path.read_text("utf-8")


def test_a_model_that_vanished_is_said_and_others_can_be_chosen(
    qtbot: QtBot, page: MethodPage, context: Context, tmp_path: Path
) -> None:
    context.session.edit(f"model.source={tmp_path / 'gone'}", label="Model")
    qtbot.waitUntil(lambda: bool(context.session.facts_problem))
    page.bar.buttons["model"].click()
    assert page.wizard.current == "model" and not page.foot.on_button.isEnabled()
    assert "is not there" in page.foot.reason.text.text()


def test_a_model_on_the_hub_is_forecast_before_it_is_downloaded(
    qtbot: QtBot, page: MethodPage, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    files = {path.name: path.read_bytes() for path in starter_model().iterdir()}
    with serve(Hub("org/tiny", files)) as hub:
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        context.session.edit("model.source=org/tiny", label="Model")
        page.bar.buttons["model"].click()
        qtbot.waitUntil(lambda: page.forecasts.facts is not None, timeout=20_000)
        qtbot.waitUntil(lambda: page.forecasts.chosen is not None)
        assert context.session.facts is None and "come over before training starts" in page.model.place.text()
        page.model.get.click()
        qtbot.waitUntil(lambda: context.session.facts is not None, timeout=30_000)
    qtbot.waitUntil(page.model.get.isHidden)


def test_the_peak_can_be_traced_and_every_forecast_then_says_so(qtbot: QtBot, page: MethodPage) -> None:
    card = page.method.plan.peak
    assert card.note.text().startswith("Predicted") and card.exact.isVisible()
    card.exact.click()
    qtbot.waitUntil(lambda: card.exact.text() == "Cancel")
    qtbot.waitUntil(lambda: card.note.text().startswith("Traced"), timeout=90_000)
    assert not card.exact.isVisible() and not page.prober.is_busy


def test_once_the_speed_is_measured_times_are_foretold(qtbot: QtBot, page: MethodPage) -> None:
    card = page.method.plan.peak
    assert "about" not in card.note.text() and card.speeds.isVisible()
    card.speeds.click()
    qtbot.waitUntil(lambda: "about" in card.note.text(), timeout=120_000)
    assert not card.speeds.isVisible() and page.method.cards["lora"].time.text().startswith("about")
