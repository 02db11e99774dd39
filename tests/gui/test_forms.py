"""Forms from declarations: what is shown is what is saved, what cannot be used is said and not saved."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from studio.gui.context import Context
from studio.gui.forms import SpecForm
from studio.gui.forms.form import Form
from studio.gui.forms.row import FieldRow
from studio.methods import METHODS
from studio.project.folder import Project
from studio.spec.fields import describe
from studio.spec.run_spec import TrainSection


@pytest.fixture
def form(qtbot: QtBot, context: Context, starter_project: Project) -> SpecForm:
    context.session.open(starter_project.folder)
    made = SpecForm(context.session, "train")
    qtbot.addWidget(made)
    context.session.spec_changed.connect(made.refresh)
    made.show()
    return made


def row_of(form: Form, path: str) -> FieldRow:
    row = form.row(path)
    assert row is not None
    return row


def write(qtbot: QtBot, row: FieldRow, text: str) -> None:
    """Write into a row's field and press Enter."""
    field = row.editor.findChild(QLineEdit)
    assert field is not None
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def test_every_setting_has_a_row_with_its_words_and_an_accessible_editor(qtbot: QtBot, context: Context) -> None:
    for declared in (TrainSection, *(method.Params for method in METHODS.all().values())):
        made = Form(describe(declared, "x"))
        qtbot.addWidget(made)
        for row in made.rows:
            named = [row.editor, *row.editor.findChildren(QWidget)]
            assert any(widget.accessibleName().startswith(row.facts.title) for widget in named), row.facts.path
            assert row.help.text() == row.facts.help


def test_a_number_is_saved_at_once_and_undone(qtbot: QtBot, form: SpecForm) -> None:
    session = form.session
    write(qtbot, row_of(form, "train.batch_size"), "16")
    assert session.spec is not None and session.spec.train.batch_size == 16
    assert session.project is not None and session.project.draft().train.batch_size == 16
    session.undo_stack.undo()
    field = row_of(form, "train.batch_size").editor.findChild(QLineEdit)
    assert session.spec.train.batch_size == 4 and field is not None and field.text() == "4"


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("train.batch_size", "0", "at least 1"),
        ("train.learning_rate", "fast", "must be a number"),
        ("train.epochs", "0", "more than 0"),
        ("train.steps", "-5", "at least 1"),
    ],
)
def test_what_cannot_be_used_is_said_below_and_not_saved(
    qtbot: QtBot, form: SpecForm, path: str, text: str, words: str
) -> None:
    before = form.session.spec
    row = row_of(form, path)
    write(qtbot, row, text)
    assert form.session.spec == before
    assert words in row.help.text() and row.problem
    field = row.editor.findChild(QLineEdit)
    assert field is not None and field.text() == text  # what was written stays to be mended


def test_another_edit_leaves_a_wrong_field_as_it_is_and_a_right_one_clears_it(qtbot: QtBot, form: SpecForm) -> None:
    rate = row_of(form, "train.learning_rate")
    write(qtbot, rate, "fast")
    write(qtbot, row_of(form, "train.batch_size"), "8")
    assert rate.problem
    write(qtbot, rate, "2e-5")
    assert not rate.problem and rate.help.text() == rate.facts.help
    assert form.session.spec is not None and form.session.spec.train.learning_rate == 2e-5
    write(qtbot, rate, "")
    field = rate.editor.findChild(QLineEdit)
    assert field is not None
    field.clear()
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert form.session.spec.train.learning_rate is None


def test_setting_values_never_emits(qtbot: QtBot, form: SpecForm) -> None:
    with qtbot.assertNotEmitted(form.edited):
        form.set_values({"train.batch_size": 99, "train.packing": True, "train.precision": "fp32", "train.steps": 7})


def test_advanced_settings_are_folded_and_counted(qtbot: QtBot, form: SpecForm) -> None:
    advanced = [row for row in form.rows if row.facts.is_advanced]
    assert form.toggle.text() == f"Advanced ({len(advanced)})" and not advanced[0].isVisible()
    form.toggle.click()
    assert advanced[0].isVisible()
    form.toggle.click()
    assert form.go_to("train.seed") and row_of(form, "train.seed").isVisible()
    assert not form.go_to("model.source")


def test_stepping_stays_within_the_bounds(qtbot: QtBot, form: SpecForm) -> None:
    row = row_of(form, "train.batch_size")
    field = row.editor.findChild(QLineEdit)
    assert field is not None
    write(qtbot, row, "1")
    qtbot.keyClick(field.parentWidget(), Qt.Key.Key_Down)
    assert field.text() == "1" and not row.problem


def test_a_list_is_written_as_words_with_commas(qtbot: QtBot, context: Context, starter_project: Project) -> None:
    context.session.open(starter_project.folder)
    form = SpecForm(context.session, "method")
    qtbot.addWidget(form)
    write(qtbot, row_of(form, "method.targets"), "q_proj, v_proj")
    assert context.session.spec is not None
    assert context.session.spec.method.model_dump()["targets"] == ["q_proj", "v_proj"]
    write(qtbot, row_of(form, "method.targets"), "all-linear")
    assert context.session.spec.method.model_dump()["targets"] == "all-linear"
