"""The pictures of the README: the demo's own project, really trained, talked to, and looked at."""

from __future__ import annotations

from pathlib import Path

from studio.gui.data_page.page import DataPage
from studio.project.demo import make_demo_project
from studio.project.folder import Project
from studio.project.launch import start_run
from studio.project.starting import make_run
from tests.gui.scenes import Scene, Stage
from tests.gui.scenes.playground import page_of, wait_until_ready

_made: dict[str, Path] = {}


def _demo(stage: Stage) -> Project:
    """The demo's project with its run, trained once for all pictures (a minute or two)."""
    if "demo" not in _made:
        project = make_demo_project(stage.home.parent / "demo" / "Old sailor")
        run, _ = make_run(project, project.draft())
        assert start_run(run).wait(900) == 0
        _made["demo"] = project.folder
    project = Project.open(_made["demo"])
    stage.context.session.open(project.folder)
    stage.pump(lambda: bool(stage.context.session.runs) and stage.context.session.facts is not None)
    return project


def _train(stage: Stage) -> None:
    project = _demo(stage)
    stage.window.show_page("train", run=project.runs()[0].name)
    page = stage.window.page("train")
    stage.pump(lambda: page.states.state() == "full")  # type: ignore[attr-defined]
    stage.settle(800)


def _data(stage: Stage) -> None:
    _demo(stage)
    stage.window.show_page("data")
    page = stage.window.page("data")
    assert isinstance(page, DataPage)
    session = stage.context.session
    stage.pump(lambda: session.row_lengths is not None and page.row_card.isVisible(), 60)
    stage.settle(1500)


def _playground(stage: Stage) -> None:
    _demo(stage)
    stage.window.show_page("playground")
    page = page_of(stage)
    wait_until_ready(stage, page)
    for question in ("What is the capital of France?", "Tell me a joke about a duck, please."):
        page.composer.write(question)
        page.composer.send.click()
        stage.pump(lambda: not page.chat.is_answering, 120)
    stage.settle(400)


SCENES = [Scene("train", _train), Scene("data", _data), Scene("playground", _playground)]
