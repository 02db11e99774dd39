"""What the Data page shows where there are no rows to show, and the sentences over the rows that need an answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from studio.errors import UserError
from studio.gui import figures
from studio.gui.controls import Banner, EmptyState, ErrorState
from studio.gui.controls.messages import Action
from studio.gui.data_page.actions import DataActions
from studio.gui.data_page.feed import DataFeed
from studio.gui.data_page.work import stamp_of
from studio.gui.icons import Icon

KINDS = "JSONL, JSON, CSV, TSV, Parquet, Arrow and plain text; text files may be gzipped."


class Holder(QWidget):
    """Holds one widget, or none and no room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._held: QWidget | None = None
        self.setVisible(False)

    def hold(self, widget: QWidget | None) -> None:
        """Hold another one."""
        if self._held is not None:
            self._held.hide()
            self._held.deleteLater()
        self._held = widget
        if widget is not None:
            self._layout.addWidget(widget)
        self.setVisible(widget is not None)


def empty_state(act: DataActions) -> QWidget:
    """Nothing to learn from yet."""
    return EmptyState(
        Icon.FILE_IN,
        "Drop a file of rows here",
        f"Conversations, questions with answers, or plain text to learn from. {KINDS}",
        [("Import…", act.import_file), ("Use the starter data", act.use_starter)],
    )


def error_state(error: UserError, path: Path | None, act: DataActions) -> QWidget:
    """The file cannot be used: what happened, and the ways out."""
    rest = "\n".join(str(problem) for problem in error.problems[:6])
    text = "\n".join(part for part in (error.hint, rest, "Nothing was changed.") if part)
    state = ErrorState(
        error.message,
        text,
        [
            ("Choose another file…", act.import_file),
            ("Look again", act.look_again),
            ("Use the starter data", act.use_starter),
        ],
    )
    state.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
    if path is not None:
        state.text.setToolTip(str(path))
    return state


def notice_key(feed: DataFeed) -> tuple[object, ...]:
    """What decides which notice is shown: the same key, the same notice."""
    return (_kind(feed), *_amounts(feed), str(feed.path))


def notice(feed: DataFeed, act: DataActions, show: Callable[[str], object]) -> Banner | None:
    """The one thing that has to be known or decided before these rows are trained on."""
    kind = _kind(feed)
    good, aside = _amounts(feed)
    if kind == "columns":
        assert feed.head is not None and feed.head.why is not None
        why = feed.head.why
        hint = "Say which column is the question and which the answer, or choose what a row looks like."
        return Banner("warn", why.message, hint, [("Map columns…", act.map_columns)], leads=True)
    if kind == "damage":
        damage = _damage(feed)
        assert damage is not None
        use = f"Use {_rows(good)}" if good else "Use the good rows"  # not counted yet
        actions: list[Action] = [(use, act.use_good_rows), ("Choose another file…", act.import_file)]
        return Banner(
            "danger", damage.message, "Your file stays as it is; the project gets a copy of the good rows.", actions
        )
    if kind == "stopped":
        return Banner("danger", "Importing the rows stopped.", _words(feed.problem), [("Try again", act.look_again)])
    if kind == "cancelled":
        text = "Searching and sorting see only these. A run reads the whole file."
        return Banner(
            "info", f"The import was cancelled at {_rows(good + aside)}.", text, [("Import all", act.look_again)]
        )
    if kind == "gone":
        assert feed.path is not None
        text = "Its rows can still be looked at. To train, put it back or choose another file."
        actions = [("Look again", act.look_again), ("Choose another file…", act.import_file)]
        return Banner("danger", f"{feed.path.name} is not there any more.", text, actions)
    if kind == "refused":
        is_are = "row cannot" if aside == 1 else "rows cannot"
        text = f"The other {_rows(good)} are fine. A run would stop at once and list them."
        actions = [(f"Use {_rows(good)}", act.skip_bad_rows), ("Show them", lambda: show("set_aside"))]
        return Banner("warn", f"{figures.count(aside)} {is_are} be used.", text, actions)
    return None


def _kind(feed: DataFeed) -> str:
    if feed.head is not None and feed.head.reader is None:
        return "columns"
    if _damage(feed) is not None:
        return "damage"
    if feed.path is not None and feed.head is not None and stamp_of(feed.path) == (0, 0):
        return "gone"
    if feed.problem is not None:
        return "stopped"
    if feed.was_cancelled:
        return "cancelled"
    good, aside = _amounts(feed)
    is_known = feed.is_imported and feed.progress is None
    if is_known and aside and good and feed.spec is not None and feed.spec.data.bad_rows == "refuse":
        return "refused"
    return ""


def _words(error: Exception | None) -> str:
    """An error's sentence and its way out; what is here can still be looked at."""
    hint = getattr(error, "hint", "")
    return f"{getattr(error, 'message', error)} {hint}".strip()


def _amounts(feed: DataFeed) -> tuple[int, int]:
    """Rows that can be used, and rows set aside."""
    if feed.summary is None:
        return 0, 0
    sums = feed.summary.figures
    return sums.rows - sums.set_aside, sums.set_aside


def _damage(feed: DataFeed) -> UserError | None:
    if feed.store is not None and feed.store.is_complete:
        return feed.store.damage
    return None


def _rows(count: int) -> str:
    return f"{figures.count(count)} {'row' if count == 1 else 'rows'}"
