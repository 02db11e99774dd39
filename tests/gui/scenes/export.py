"""The Export page: nothing trained, ready, writing, checking, checked, no room, a run that cannot be exported."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from studio.gui.export_page.export_run import ExportRun, FileState
from studio.gui.export_page.page import ExportPage
from tests.gui.samples import make_starter_project
from tests.gui.scenes import Scene, Stage


def open_page(stage: Stage) -> ExportPage:
    """Open a trained project on the page, and wait for the sizes."""
    project = stage.trained()
    stage.context.session.open(project.folder)
    stage.pump(lambda: bool(stage.context.session.runs))
    stage.window.show_page("export")
    page = stage.window.page("export")
    assert isinstance(page, ExportPage)
    assert stage.pump(lambda: page.survey is not None)
    return page


def export(stage: Stage, page: ExportPage, *types: str) -> None:
    """Export these types and wait until it is over."""
    page.types.show_all(True)
    for name in {*types} ^ page.types.chosen:
        page.types.toggle(page.types.names.index(name))
    page.types.show_all(False)
    page.start.click()
    assert stage.pump(lambda: page.run is None, 120)
    stage.pump(lambda: page.verification.exported is not None)


def _empty(stage: Stage) -> None:
    stage.context.session.open(make_starter_project(stage.home / "Starter voice").folder)
    stage.window.show_page("export")
    stage.settle(300)


def _ready(stage: Stage) -> None:
    page = open_page(stage)
    page.types.toggle(page.types.names.index("Q8_0"))


def _busy(stage: Stage) -> None:
    page = open_page(stage)
    page.types.toggle(page.types.names.index("Q8_0"))
    tensors = [(f"blk.{at // 9}.{name}.weight", 11_000_000) for at, name in enumerate(_NAMES * 36)]
    run = ExportRun(_Still(), {}, page)  # type: ignore[arg-type]
    first = FileState(Path("support-tone-Q8_0.gguf"), 4_280_000_000, tensors, 207, 2_650_000_000, tensors[207][0])
    first.phase = "writing"
    first.started = time.monotonic() - 18
    run.phase = f"Writing {first.path.name}"
    run.files = [first, FileState(Path("support-tone-Q4_K_M.gguf"), 2_500_000_000)]
    page.run = run
    page.verification.show_busy("After the files are written")
    page._on_progress()
    page._refresh()


_NAMES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "attn_norm", "ffn_norm")


class _Still:
    """In the place of background work: nothing happens."""

    def job(self, *_: object, **__: object) -> object:
        return object()


def _full(stage: Stage) -> None:
    page = open_page(stage)
    export(stage, page, "Q8_0", "Q4_K_M")


def _no_room(stage: Stage) -> None:
    page = open_page(stage)
    assert page.survey is not None
    page.survey = dataclasses.replace(page.survey, disk_free=9_000_000)
    page.folder = page.survey.folder
    for name in ("F16", "Q8_0", "Q6_K"):
        page.types.toggle(page.types.names.index(name))


def _error(stage: Stage) -> None:
    project = stage.trained()
    record = project.runs()[-1].spec_path
    record.write_text(record.read_text().replace("source: starter", "source: /models/Qwen3-4B"))
    stage.context.session.open(project.folder)
    stage.pump(lambda: bool(stage.context.session.runs))
    stage.window.show_page("export")
    page = stage.window.page("export")
    assert isinstance(page, ExportPage)
    assert stage.pump(lambda: page.states.state() == "error", 5)


def _merged(stage: Stage) -> None:
    page = open_page(stage)
    page.targets.cards["merged"].click()


def _adapter(stage: Stage) -> None:
    page = open_page(stage)
    page.targets.cards["gguf_adapter"].click()
    page.start.click()
    assert stage.pump(lambda: page.run is None, 120)
    stage.pump(lambda: page.verification.exported is not None)


SCENES = [
    Scene("empty", _empty),
    Scene("ready", _ready),
    Scene("busy", _busy),
    Scene("full", _full),
    Scene("room", _no_room),
    Scene("error", _error),
    Scene("merged", _merged),
    Scene("adapter", _adapter),
]
