"""The Data page: rows, the chosen one as the model sees it, lengths and findings. It wires; the parts do the work."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QVBoxLayout, QWidget

from studio.errors import UserError
from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls import Badge, Button, ScrollColumn, States, Text
from studio.gui.controls.surfaces import ANY_SIZE
from studio.gui.data_page.actions import DataActions
from studio.gui.data_page.chosen_row import ChosenRow
from studio.gui.data_page.feed import DataFeed
from studio.gui.data_page.findings_card import FindingsCard
from studio.gui.data_page.length_card import LengthCard
from studio.gui.data_page.places import Holder, empty_state, error_state, notice, notice_key
from studio.gui.data_page.row_card import RowCard
from studio.gui.data_page.table_card import TableCard
from studio.gui.forms.holdout import HoldoutField
from studio.gui.icons import Icon
from studio.gui.page import Command, PageWidget
from studio.gui.theme import at_text_size, theme
from studio.gui.tokens import CARD_GAP
from studio.sizes import counted
from studio.spec.run_spec import RunSpec

_WIDE = 1240
_SIDE, _SIDE_WIDE = 252, 320
_LEAST_WIDTH = 820  # for findings beside the rows, at the usual size of text
_LEAST_TABLE, _LEAST_ROW, _LEAST_SIDE = 260, 300, 260  # where all are one below the other
_ONCE_CLEAR = "Known once it is clear which column plays which role."


class DataPage(PageWidget):
    """The page."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Data")
        self.feed = DataFeed(context, self)
        self.acts = DataActions(context, self.feed, self)
        self._noticed: object = None
        self._lay_out()
        self.chosen = ChosenRow(context, self.feed, self.acts, self.row_card)
        self._connect()

    # The page

    def enter(self, **arguments: object) -> None:
        data = arguments.get("data")
        if isinstance(data, str) and self.context.session.project is not None:
            self.acts.use_file(Path(data))
        self._on_spec()
        self.feed.look_again()

    def commands(self) -> list[Command]:
        act, table = self.acts, self.table_card
        return [
            Command("Import data…", act.import_file, "Ctrl+I", "Data"),
            Command("Use the starter data", act.use_starter, "", "Data"),
            Command("Search rows", lambda: table.search.setFocus(Qt.FocusReason.ShortcutFocusReason), "Ctrl+F", "Data"),
            Command("Go to row…", self._ask_row, "Ctrl+G", "Data"),
            Command("Show tokens or text", self.row_card.toggle_form, "T", "Data"),
            Command("Edit the row…", self.chosen.edit, "F2", "Data"),
            Command("Leave the row out", self.chosen.drop, "Del", "Data"),
            Command("Map columns…", self._ask_columns, "", "Data"),
            Command("Cancel the import", self.feed.cancel_import, "", "Data"),
            Command("Show all rows", lambda: table.show_filter("all"), "", "Data"),
        ]

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_wide = self.width() >= at_text_size(_WIDE)
        direction = QBoxLayout.Direction.LeftToRight if is_wide else QBoxLayout.Direction.TopToBottom
        if self._main.direction() != direction:
            self._main.setDirection(direction)
            self.row_card.set_tall(is_wide)
            # Side by side the table has the larger part: running text needs no more than 75 characters.
            self._main.setStretch(0, 7 if is_wide else 5)
        self._fit_side()

    def _fit_side(self) -> None:
        usual, scale = _SIDE_WIDE if self.width() >= at_text_size(_WIDE) else _SIDE, max(1.0, theme().scale)
        is_narrow = self.width() < _LEAST_WIDTH * theme().scale
        lying, standing = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._columns.setDirection(standing if is_narrow else lying)
        self._side_cards.setDirection(lying if is_narrow else standing)
        self._side_cards.setStretch(0, 1 if is_narrow else 0)
        self._scroll.set_fits(not is_narrow)  # one below the other all have the height they need
        for part, height in (
            (self.table_card, _LEAST_TABLE),
            (self.row_card, _LEAST_ROW),
            (self._side, _LEAST_SIDE),
        ):
            part.setMinimumHeight(round(height * scale) if is_narrow else 0)
        if is_narrow:
            self._side.setMinimumWidth(0)
            self._side.setMaximumWidth(ANY_SIZE)
        else:
            self._side.setFixedWidth(round(usual * scale))  # a finding's ways out are side by side

    # Layout

    def _lay_out(self) -> None:
        self.badge = Badge("", "warn")
        self.badge.hide()
        self.file_name = Text("", "small_strong")
        self.facts_row.addStrut(22)  # as high as the badge, so that nothing jumps when it comes
        self.facts_row.insertWidget(0, self.file_name)
        self.facts_row.insertWidget(2, self.badge)
        self.import_button = Button("Import…", icon=Icon.PLUS)
        self.cancel_button = Button("Cancel import", "quiet")
        self.next_button = Button("Choose a method", "primary")
        self.action_row.addWidget(self.cancel_button)
        self.action_row.addWidget(self.import_button)
        self.action_row.addWidget(self.next_button)
        self.states = States()
        self.states.add("full", self._full())
        self._holders = {name: Holder() for name in ("empty", "error")}
        for name, holder in self._holders.items():
            self.states.add(name, holder)
        self.body.addWidget(self.states, 1)

    def _full(self) -> QWidget:
        box = QWidget()
        outer = QVBoxLayout(box)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(CARD_GAP)
        self._notice = Holder()
        outer.addWidget(self._notice)
        columns = self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        columns.setSpacing(16)
        self._main = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._main.setSpacing(12)
        self.table_card = TableCard(self.context, self.feed)
        self.holdout = HoldoutField()
        self.table_card.tools.addWidget(Text("Held out", "body", "text2"))
        self.table_card.tools.addWidget(self.holdout)
        self.row_card = RowCard()
        self._main.addWidget(self.table_card, 5)
        self._main.addWidget(self.row_card, 6)
        columns.addLayout(self._main, 1)
        columns.addWidget(self._side_column())
        self._scroll = ScrollColumn()
        self._scroll.column.addLayout(columns)
        outer.addWidget(self._scroll, 1)
        theme().changed.connect(self._fit_side)
        self._fit_side()
        return box

    def _side_column(self) -> QWidget:
        self._side = QWidget()
        layout = self._side_cards = QBoxLayout(QBoxLayout.Direction.TopToBottom, self._side)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        self.length_card, self.findings_card = LengthCard(), FindingsCard()
        layout.addWidget(self.length_card)
        layout.addWidget(self.findings_card, 1)
        return self._side

    def _connect(self) -> None:
        session = self.context.session
        session.spec_changed.connect(self._on_spec)
        session.project_changed.connect(self._on_project)
        session.facts_changed.connect(self._on_facts)
        feed = self.feed
        feed.opened.connect(self._on_opened)
        feed.store_changed.connect(self.chosen.forget)
        feed.grown.connect(self._on_grown)
        feed.moved.connect(self._say_facts)
        feed.moved.connect(self._show_notices)
        feed.failed.connect(self._on_failed)
        self.table_card.row_chosen.connect(self.chosen.choose)
        self.table_card.columns_wanted.connect(self._ask_columns)
        self.length_card.raise_wanted.connect(self.acts.raise_max_length)
        self.length_card.show_wanted.connect(lambda: self.table_card.show_filter("too_long"))
        self.findings_card.fix_wanted.connect(self.acts.fix)
        self.findings_card.show_wanted.connect(self.table_card.show_filter)
        self.holdout.holdout_chosen.connect(self.acts.set_holdout)
        self.cancel_button.clicked.connect(self.feed.cancel_import)
        self.import_button.clicked.connect(self.acts.import_file)
        self.next_button.clicked.connect(lambda: self.context.navigate("method"))
        self.acts.busy_changed.connect(self._on_busy)

    # What changed

    def _on_project(self) -> None:
        # Nothing of one project's rows is shown in another.
        self.feed.close()
        self.chosen.seer.close()

    def _on_spec(self) -> None:
        session = self.context.session
        placed = session.placed_spec
        if placed is None or session.spec is None or (not self.isVisibleTo(self.window()) and self.feed.spec is None):
            return  # nobody has looked at the rows of this project yet
        if not session.spec.data.path:
            self._show_empty()
            return
        self.holdout.set_holdout(placed.data.holdout)
        before = self.feed.spec
        self.feed.show(placed)
        self.chosen.seer.use(placed.model.source, placed.model.revision)
        self._say_facts()
        self._show_notices()
        if before is not None and _seen_by(before) != _seen_by(placed):
            self.chosen.look()

    def _on_facts(self) -> None:
        if self.feed.spec is not None and self.context.session.facts is not None:
            self.feed.count_now()
            self.chosen.look()

    def _on_opened(self) -> None:
        self.states.show_state("full")
        self.chosen.forget()
        head = self.feed.head
        reason = head.reader.reason if head is not None and head.reader is not None else ""
        self.table_card.columns.setToolTip(f"{reason} Click to change it." if reason else "")
        if head is not None and head.reader is None:
            self._show_unread()
        self._say_facts()
        self._show_notices()
        self._show_side()

    def _on_grown(self) -> None:
        self._say_facts()
        self._show_side()
        self._show_notices()
        summary = self.feed.summary
        if summary is not None and self.feed.is_imported:
            self.context.session.set_rows(summary.figures.rows, summary.lengths)
        ordinal = self.table_card.chosen_ordinal()
        if ordinal is not None and self.chosen.ordinal is None:
            self.chosen.choose(ordinal)

    def _on_failed(self, error: Exception) -> None:
        if self.feed.store is None and isinstance(error, UserError):
            self.context.session.set_rows(None, None)
            self._put("error", error_state(error, self.feed.path, self.acts))
        else:
            self.context.tasks.faulted.emit(error)
        self._say_facts()

    def _show_empty(self) -> None:
        self.feed.close()
        self.context.session.set_rows(None, None)
        self._put("empty", empty_state(self.acts))
        self._say_facts()

    def _put(self, name: str, widget: QWidget) -> None:
        """Show a state that is made anew each time."""
        self._holders[name].hold(widget)
        self.states.show_state(name)

    def _on_busy(self, is_busy: bool) -> None:
        self.row_card.edit.setEnabled(not is_busy)
        self.row_card.drop.setEnabled(not is_busy)

    # What is said

    def _say_facts(self) -> None:
        state, path = self.states.state(), self.feed.path
        has_rows = state == "full" and path is not None
        self.file_name.say(path.name if has_rows and path else "")
        self.file_name.setVisible(has_rows)
        for button in (self.import_button, self.next_button):
            button.setVisible(has_rows)
        self.next_button.setEnabled(self._has_clear_columns())
        self.facts.say(facts_line(self.feed) if has_rows else "No data yet" if state == "empty" else "")
        self.cancel_button.setVisible(has_rows and self.feed.progress is not None)
        self.cancel_button.setText("Stop counting" if self.feed.is_imported else "Cancel import")
        summary = self.feed.summary
        aside = summary.figures.set_aside if summary and has_rows else 0
        self.badge.setVisible(aside > 0)
        self.badge.say(f"{figures.count(aside)} {'row' if aside == 1 else 'rows'} set aside", "warn")

    def _show_side(self) -> None:
        facts = self.context.session.facts
        limit = self.feed.split.max_length
        context, is_clear = facts.context_length if facts else 0, self._has_clear_columns()
        self.length_card.show_summary(self.feed.summary, limit, context, self._waits_for(), is_coming=is_clear)
        self.findings_card.show_summary(self.feed.summary, "" if is_clear else _ONCE_CLEAR)

    def _show_unread(self) -> None:
        """The first row as it stands: from it one sees what the columns are."""
        values = self.feed.head.values if self.feed.head is not None else []
        first = next((value for value in values if value is not None), None)
        if first is not None:
            self.row_card.show_unread(first, _ONCE_CLEAR)
        else:
            self.row_card.clear(_ONCE_CLEAR)

    def _has_clear_columns(self) -> bool:
        return self.feed.head is None or self.feed.head.reader is not None

    def _waits_for(self) -> str:
        """Why lengths are not being counted."""
        if not self._has_clear_columns():
            return _ONCE_CLEAR
        if self.feed.progress is None and self.feed.is_imported and self.context.session.facts is None:
            return "Known once the base model is on this computer."
        return "Counting…"

    def _show_notices(self) -> None:
        shown = notice_key(self.feed)
        if shown != self._noticed:
            self._noticed = shown
            banner = notice(self.feed, self.acts, self.table_card.show_filter)
            self._notice.hold(banner)
            self.next_button.set_role("secondary" if banner is not None and banner.leads else "primary")

    def _ask_row(self) -> None:
        self.acts.go_to_row(self.chosen.number(), self.table_card.go_to)

    def _ask_columns(self) -> None:
        self.acts.map_columns()


def _seen_by(spec: RunSpec) -> tuple[object, ...]:
    """What decides how the model sees a row."""
    return spec.train.max_length, spec.data.train_on, spec.data.truncation, spec.model


def facts_line(feed: DataFeed) -> str:
    """ "11,842 conversations, 4.07 M tokens", growing."""
    summary, head = feed.summary, feed.head
    if summary is None:
        if head is None:
            return "Reading…"
        return f"the first {counted(len(head.lines), 'row')}" if head.reader else "columns not clear yet"
    sums = summary.figures
    what = "row" if sums.rows == 1 else "rows"
    if head and head.reader and head.reader.format.key != "text":
        what = "conversation" if sums.rows == 1 else "conversations"
    text = f"{figures.count(sums.rows)} {what}"
    if feed.progress is not None and not feed.is_imported:
        total = feed.progress[2]
        return f"{text} of {figures.count(total)}, importing" if total else f"{text}, importing"
    if sums.tokens:
        text += f", {figures.short_count(sums.tokens)} tokens"
    if not sums.is_counted:
        return f"{text} counted so far" if sums.tokens else text
    return f"{text}, {figures.count(sums.held_out)} held out" if sums.held_out else text
