"""Takes pictures of every page in its states, light and dark: `python -m tests.gui.pictures [--only data]`.

They are written to `build/pictures`, which git ignores, or to the folder of `--out`, for people to look at; words that
are cut are told.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from studio.gui.app import make_application, make_window
from studio.gui.context import Context
from studio.preferences import Preferences
from studio.project.folder import Project
from tests.gui import scenes
from tests.gui.cut_words import cut_words
from tests.gui.samples import make_starter_project, train_some_steps
from tests.gui.scenes import Scene, Stage

OUT = Path(__file__).resolve().parents[2] / "build" / "pictures"
SIZES = ((1280, 800), (1920, 1080), (1024, 680))


def main() -> int:
    """Take them; 0 when every scene came about."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        os.environ["TUNESMITH_HOME"] = str(root / "user")
        application = make_application(["pictures"])
        studio = _Studio(application, root)
        failed = list(_take_all(studio, options))
    for name in failed:
        print(f"not shown: {name}", file=sys.stderr)
    return 1 if failed else 0


class _Studio:
    """Makes a fresh stage for each scene; the trained project is made once, when first wanted."""

    def __init__(self, application: QApplication, root: Path) -> None:
        self._application, self._root = application, root
        self._trained: Path | None = None
        self._count = 0

    def stage(self, look: str, text_size: int) -> Stage:
        self._count += 1
        home = self._root / f"scene-{self._count}"
        home.mkdir()
        os.environ["TUNESMITH_HOME"] = str(home / "user")
        context = Context(self._application)
        context.preferences = Preferences(theme=look, text_size=text_size, reduce_motion=True)
        window = make_window(context)
        context.machine.start()
        window.show_page("home")
        window.show()
        return Stage(window, context, home, lambda: self._copy(home))

    def _copy(self, home: Path) -> Project:
        if self._trained is None:
            project = make_starter_project(self._root / "trained" / "Starter voice")
            train_some_steps(project, "train.steps=40", "train.eval_every=5")
            self._trained = project.folder
        target = home / self._trained.name
        shutil.copytree(self._trained, target)
        return Project.open(target)


def _take_all(studio: _Studio, options: argparse.Namespace) -> Iterator[str]:
    for page, scene in _scenes(options.only, options.scene):
        for look in options.theme:
            name = f"{page}-{scene.name}-{look}" + (f"-text{options.text}" if options.text != 100 else "")
            started = time.monotonic()
            stage = studio.stage(look, options.text)
            try:
                scene.show(stage)
                shoot = partial(_shoot, stage, options.out / name, options.size)
                _while_asked(stage, scene.asks, shoot) if scene.asks else shoot()
                print(f"{name}  {time.monotonic() - started:.1f} s")
            except Exception as error:  # noqa: BLE001 - one scene that fails must not hide the others
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                yield name
            finally:
                _strike(stage)


def _while_asked(stage: Stage, asks: Callable[[Stage], object], shoot: Callable[[], None]) -> None:
    """A question has an event loop of its own: the picture is taken in there, and the question closed."""
    met: list[Exception] = []

    def look() -> None:
        question = QApplication.activeModalWidget()
        try:
            if question is None:
                raise AssertionError("nothing was asked")
            shoot()
        except Exception as error:  # noqa: BLE001 - raised again below: Qt has no use for it
            met.append(error)
        finally:
            if question is not None:
                question.close()

    QTimer.singleShot(300, look)
    asks(stage)
    if met:
        raise met[0]


def _shoot(stage: Stage, path: Path, sizes: list[tuple[int, int]]) -> None:
    for width, height in sizes:
        stage.window.resize(width, height)
        stage.settle(250)
        stage.window.grab().save(f"{path}-{width}.png")
        for cut in cut_words(stage.window):
            print(f"{path.name}-{width}: {cut}")
    for number, floating in enumerate(_floating(stage)):
        floating.grab().save(f"{path}-floating{number}.png")
        for cut in cut_words(floating):
            print(f"{path.name}-floating{number}: {cut}")


def _floating(stage: Stage) -> list:
    top = QApplication.topLevelWidgets()
    return [widget for widget in top if widget is not stage.window and widget.isVisible()]


def _strike(stage: Stage) -> None:
    for widget in _floating(stage):
        widget.close()
    stage.context.session.close()
    stage.window.close()
    stage.window.deleteLater()
    stage.context.deleteLater()
    stage.settle(20)


def _scenes(only: str, wanted: list[str]) -> Iterator[tuple[str, Scene]]:
    for module in sorted(info.name for info in pkgutil.iter_modules(scenes.__path__)):
        if only and only != module:
            continue
        for scene in importlib.import_module(f"tests.gui.scenes.{module}").SCENES:
            if not wanted or scene.name in wanted:
                yield module, scene


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="one page")
    parser.add_argument("--scene", nargs="*", default=[], help="some of its scenes")
    parser.add_argument("--theme", nargs="*", default=["dark", "light"], choices=["dark", "light"])
    parser.add_argument("--width", type=int, nargs="*", default=[width for width, _ in SIZES])
    parser.add_argument("--text", type=int, default=100, help="the size of text, in percent (90 to 150)")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder to write them to")
    options = parser.parse_args()
    options.size = [size for size in SIZES if size[0] in options.width]
    return options


if __name__ == "__main__":
    sys.exit(main())
