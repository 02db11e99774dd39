"""Data: rows of every kind, importing, broken rows, a damaged file, columns that nobody can guess, no file."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from studio.gui.data_page.page import DataPage
from studio.project.folder import Project
from studio.spec.fresh import fresh_spec
from studio.spec.values import set_values
from tests.gui.samples import make_starter_project
from tests.gui.scenes import Scene, Stage

_SYSTEM = "You answer for Fernweh Cycles: short, warm, one next step."
_QUESTIONS = (
    "My order shows delivered but nothing arrived. What now?",
    "Can I swap the 54 cm frame for a 56? It was shipped yesterday, I think.",
    "The rear brake squeals when wet. Is that normal for resin pads?",
    "Rechnung bitte auf Firma Kettler GmbH umschreiben.",
    "I want to cancel. You have had my bike for three weeks!",
    "Which charger fits the 2023 Wanderer? Mine is lost.",
    "Do you price-match if I find the same wheel cheaper? 🚲",
    "How do I pair the display with the app?",
    "Is the Wanderer 28 rated for a child seat?",
    "I was charged twice, please write to jo.lang@example.org",
)
_ANSWERS = (
    "Three weeks is far too long, and I am sorry. Your Wanderer is waiting for one part, due Thursday.",
    "Yes. Keep the box closed, I send you a label today, and the 56 leaves as soon as it is scanned.",
    "It is, for the first wet miles. Wipe the disc with alcohol; if it still sings on Friday, bring it in.",
    "Shall I lend you a bike until then, or cancel and refund today?",
    "Done: the money is on its way to your card. You will see it within three days.",
)


def support_rows(count: int) -> list[dict[str, Any]]:
    """Made-up conversations of a bicycle shop, of very different lengths, some odd."""
    rng = random.Random(4)
    rows = []
    for at in range(count):
        turns = [{"role": "system", "content": _SYSTEM}]
        for turn in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
            question = _QUESTIONS[(at + turn) % len(_QUESTIONS)] if turn == 0 else rng.choice(_QUESTIONS)
            turns.append({"role": "user", "content": f"{question} (order {1000 + at})" if turn == 0 else question})
            turns.append({"role": "assistant", "content": " ".join(rng.choices(_ANSWERS, k=rng.choice((1, 1, 2, 3))))})
        if at % 61 == 7:
            turns.append({"role": "user", "content": "Refund, please."})
        rows.append({"messages": rows[at - 30]["messages"] if at % 97 == 50 else turns})
    return rows


def project_on(stage: Stage, path: Path, *settings: str) -> Project:
    """A project on a file of rows."""
    folder = stage.home / "Support tone"
    return Project.create(folder, set_values(fresh_spec(model="starter", data=str(path), project=folder), settings))


def write_rows(path: Path, rows: list[Any]) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def show(stage: Stage, project: Project) -> DataPage:
    """Open the project on the Data page."""
    stage.window.open_project(project.folder)
    stage.window.show_page("data")
    page = stage.window.page("data")
    assert isinstance(page, DataPage)
    return page


def is_counted(page: DataPage) -> bool:
    """Whether all lengths are known and shown, and the chosen row as well."""
    summary = page.feed.summary
    is_known = summary is not None and summary.figures.is_counted and page.feed.progress is None
    card = page.row_card
    return is_known and card.states.state() == "row" and bool(card.tokens.accessibleDescription())


def _full(stage: Stage) -> None:
    path = write_rows(stage.home / "support-replies.jsonl", support_rows(2400))
    page = show(stage, project_on(stage, path, "train.max_length=256", "data.holdout=0.02"))
    stage.pump(lambda: is_counted(page))
    page.table_card.ask(type(page.table_card.query)(sort="number"))
    long_row = next(
        at for at in range(40, page.table_card.model.rowCount()) if page.table_card.model.cell(at).tokens > 290
    )
    page.table_card.table.choose(long_row)
    stage.settle(500)


def _starter(stage: Stage) -> None:
    page = show(stage, make_starter_project(stage.home / "Starter voice"))
    stage.pump(lambda: is_counted(page))
    stage.settle(300)


def _busy(stage: Stage) -> None:
    path = write_rows(stage.home / "support-replies.jsonl", support_rows(60_000))
    page = show(stage, project_on(stage, path))
    stage.pump(lambda: page.feed.rows is not None and page.feed.rows.num_rows > 0)


def _bad_rows(stage: Stage) -> None:
    rows: list[Any] = support_rows(400)
    rows[6], rows[9], rows[120] = '{"messages": [{"role": "user", "cont', {"messages": []}, '{"messages": "text"}'
    page = show(stage, project_on(stage, write_rows(stage.home / "support-replies.jsonl", rows)))
    stage.pump(lambda: is_counted(page))
    page.table_card.table.choose(9)
    stage.settle(400)


def _damaged(stage: Stage) -> None:
    path = stage.home / "support-replies.json"
    path.write_text(json.dumps(support_rows(4127))[:-90], encoding="utf-8")
    page = show(stage, project_on(stage, path))
    stage.pump(lambda: page.feed.is_imported and is_counted(page))


def _columns(stage: Stage) -> None:
    rows = [{"customer": question, "reply_text": _ANSWERS[at % 5], "id": at} for at, question in enumerate(_QUESTIONS)]
    page = show(stage, project_on(stage, write_rows(stage.home / "tickets.jsonl", rows)))
    stage.pump(lambda: page.feed.head is not None)
    stage.settle(300)


def _mapping(stage: Stage) -> None:
    from studio.gui.data_page.columns_dialog import ColumnsDialog

    _columns(stage)
    head = stage.window.page("data").feed.head  # type: ignore[attr-defined]
    values = [value for value in head.values if value is not None]
    columns = {"question": "customer", "answer": "reply_text"}
    ColumnsDialog(values, "question_answer", columns, stage.window).show()
    stage.settle(200)


def _editing(stage: Stage) -> None:
    from studio.gui.data_page.dialogs import EditDialog

    _starter(stage)
    page = stage.window.page("data")
    EditDialog("Row 1", page.chosen.row, page.feed.head.reader, stage.window).show()  # type: ignore[attr-defined]
    stage.settle(200)


def _missing(stage: Stage) -> None:
    page = show(stage, project_on(stage, stage.home / "support-replies.jsonl"))
    stage.pump(lambda: page.states.state() == "error")


def _empty(stage: Stage) -> None:
    project = make_starter_project(stage.home / "Starter voice")
    spec = project.draft()
    project.save(spec.model_copy(update={"data": spec.data.model_copy(update={"path": ""})}))
    show(stage, project)


SCENES = [
    Scene("full", _full),
    Scene("starter", _starter),
    Scene("busy", _busy),
    Scene("error-rows", _bad_rows),
    Scene("error-damaged", _damaged),
    Scene("error-columns", _columns),
    Scene("error-missing", _missing),
    Scene("mapping", _mapping),
    Scene("editing", _editing),
    Scene("empty", _empty),
]
