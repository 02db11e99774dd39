"""The Playground page: chips, loading, both answering, a correction, a chat that ended, nothing tuned yet."""

from __future__ import annotations

import os
import signal

import psutil

from studio.gui.playground_page.page import PlaygroundPage
from studio.project.conversations import Answer
from tests.gui.samples import make_starter_project
from tests.gui.scenes import Scene, Stage

_LONG = """I understand your frustration. Please follow these steps:

1. Locate your **order number**.
2. Visit the *Returns & Cancellations* page.

```python
def refund(order: str) -> bool:
    return shop.cancel(order)  # at once
```

Processing may take `5-10` business days."""


def page_of(stage: Stage) -> PlaygroundPage:
    """The page, built."""
    page = stage.window.page("playground")
    assert isinstance(page, PlaygroundPage)
    return page


def open_page(stage: Stage, *, trained: bool = True) -> PlaygroundPage:
    """Open a project on the page and wait until its models can be asked."""
    project = stage.trained() if trained else make_starter_project(stage.home / "Starter voice")
    stage.context.session.open(project.folder)
    stage.pump(lambda: bool(stage.context.session.runs) or not trained)
    stage.window.show_page("playground")
    return page_of(stage)


def wait_until_ready(stage: Stage, page: PlaygroundPage, sides: int = 2) -> None:
    """Until so many models can be asked: minutes on a busy computer, at once where loading failed."""
    all_sides = page.chat.sides.values()
    ready = lambda: sum(side.state == "ready" for side in all_sides) >= sides  # noqa: E731
    stage.pump(lambda: ready() or any(side.problem for side in all_sides), 300)
    assert ready(), {name: (side.state, side.problem) for name, side in page.chat.sides.items()}


def workers() -> list[int]:
    """Process ids of the chat workers of this process."""
    found = psutil.Process().children(recursive=True)
    return [child.pid for child in found if child.is_running() and "chat" in " ".join(child.cmdline())]


def _busy(stage: Stage) -> None:
    page = open_page(stage)
    stage.pump(lambda: page.chat.sides["tuned"].state == "loading")


def _chips(stage: Stage) -> None:
    wait_until_ready(stage, open_page(stage))


def _full(stage: Stage) -> PlaygroundPage:
    page = open_page(stage)
    wait_until_ready(stage, page)
    for question in ("What is left if I take 66 from 74?", "Can you spell spoon?"):
        page.composer.write(question)
        page.composer.send.click()
        assert stage.pump(lambda: not page.chat.is_answering, 300)
    return page


def _markdown(stage: Stage) -> None:
    page = open_page(stage)
    wait_until_ready(stage, page)
    node = page.chat.conversation.ask("I want to cancel. You have had my bike for three weeks!")
    node.add("base", Answer(_LONG, "base", "stop", {"tokens": 71, "tokens_per_second": 34.8}))
    words = "Three weeks is far too long, and I am sorry. Your Wanderer is due **Thursday**. Shall I lend you a bike?"
    node.add("tuned", Answer(words, "tuned", "stop", {"tokens": 41, "tokens_per_second": 33.9, "prompt_tokens": 430}))
    page.chat.turned.emit()
    page.composer.say_context(0.92)


def _correct(stage: Stage) -> None:
    page = _full(stage)
    key = page.tuned.last_answered()
    assert key is not None
    page.corrections.open(key)
    assert page.corrections.panel is not None
    page.corrections.panel.box.setPlainText("s-p-o-o-n. Fair winds, captain!")
    stage.settle(300)


def _ended(stage: Stage) -> None:
    page = _full(stage)
    for pid in workers():
        os.kill(pid, signal.SIGKILL)
    assert stage.pump(lambda: page.chat.sides["tuned"].state == "ended")


def _nothing(stage: Stage) -> None:
    page = open_page(stage, trained=False)
    wait_until_ready(stage, page, 1)


def _prompt(stage: Stage) -> None:
    page = _full(stage)
    page.sampling.prompt.click()
    stage.settle(600)


SCENES = [
    Scene("busy", _busy),
    Scene("chips", _chips),
    Scene("full", _full),
    Scene("markdown", _markdown),
    Scene("correct", _correct),
    Scene("error", _ended),
    Scene("empty", _nothing),
    Scene("prompt", _prompt),
]
