"""The rows: what is searched, filtered and sorted, over the table, with the import's bar on the card's upper edge."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.data.store.reading import Ordinals
from studio.data.store.view import FILTERS, Query, SortBy
from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls import Button, Card, Field, Menu, Progress, States, Text
from studio.gui.controls.dialogs import SHADOW
from studio.gui.data_page.feed import DataFeed
from studio.gui.data_page.rows_model import Column, RowsModel
from studio.gui.data_page.rows_table import RowsTable
from studio.gui.data_page.work import select_rows
from studio.gui.icons import Icon
from studio.gui.tasks import Task
from studio.gui.theme import theme
from studio.gui.tokens import CONTROL_GAP
from studio.sizes import counted

_TIGHT = 440  # below this the line above the table has no room for all words, at the usual size of text
_SORTS: dict[Column, SortBy] = {
    Column.NUMBER: "number",
    Column.FIRST: "first",
    Column.TURNS: "turns",
    Column.TOKENS: "tokens",
    Column.LENGTH: "tokens",
}


class TableCard(QWidget):
    """Search line and table.

    Signals:
        row_chosen(int): another row is chosen, by its ordinal.
        columns_wanted(): the columns are to be mapped.

    Attributes:
        tools: the line above the table; others add to its right.
    """

    row_chosen = Signal(int)
    columns_wanted = Signal()

    def __init__(self, context: Context, feed: DataFeed, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks, self._feed = context.tasks, feed
        self.query = Query()
        self.ordinals: Ordinals | None = None
        self._selecting: Task | None = None
        self._wanted_ordinal: int | None = None
        self.model = RowsModel(context.tasks, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        self.tools = self._tool_line()
        layout.addLayout(self.tools)
        layout.addWidget(self._card(), 1)
        self._connect()

    def _tool_line(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(CONTROL_GAP)
        self.search = Field("Search rows", icon=Icon.SEARCH, name="Search rows")
        self.search.setClearButtonEnabled(True)
        line.addWidget(self.search, 1)
        self.filter = Button("Filter", icon=Icon.FILTER)
        self.columns = Button("Columns", icon=Icon.COLUMNS)
        self.columns.setAccessibleName("Columns")
        line.addWidget(self.filter)
        line.addWidget(self.columns)
        return line

    def _card(self) -> Card:
        card = Card(padding=0, spacing=0)
        card.title.hide()
        card.setAccessibleName("Rows")
        card.layout().setContentsMargins(3, 1, 3, 4)  # type: ignore[union-attr]
        self.bar = Progress(name="Import", thickness=2)
        self.bar.setFixedHeight(2)
        keep = self.bar.sizePolicy()
        keep.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(keep)
        self.bar.hide()
        card.body.addWidget(self.bar)
        self.table = RowsTable(self.model)
        self.nothing = Text("", "body", "text3", wrap=True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.states = States()
        self.states.add("table", self.table)
        self.states.add("nothing", self.nothing)
        card.body.addWidget(self.states, 1)
        return card

    def _connect(self) -> None:
        self.search.textChanged.connect(self._ask_typed)
        self.search.returnPressed.connect(self.table.setFocus)
        self.filter.clicked.connect(self._open_filters)
        self.columns.clicked.connect(self.columns_wanted)
        self.table.sort_wanted.connect(self._on_sort)
        self.table.row_chosen.connect(self._on_row)
        self._feed.opened.connect(self._on_opened)
        self._feed.store_changed.connect(self._drop_selection)
        self._feed.grown.connect(self.select)
        self._feed.moved.connect(self._on_moved)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_tight = self.width() < _TIGHT * theme().scale
        self.columns.setText("" if is_tight else "Columns")
        self.columns.setToolTip("Columns" if is_tight else "")
        self.columns.updateGeometry()

    # What is asked for

    def ask(self, query: Query) -> None:
        """Show other rows, or in another order."""
        self.query = query
        title = FILTERS[query.filter].title
        self.filter.setText("Filter" if query.filter == "all" else title)
        self.filter.setChecked(query.filter != "all")
        self.filter.updateGeometry()
        if self.search.text().strip() != query.search:
            self.search.setText(query.search)
        self.select()

    def show_filter(self, key: str) -> None:
        """Show the rows of one filter, or all of them again."""
        self.ask(Query("", key, self.query.sort, self.query.descending))

    def go_to(self, ordinal: int) -> None:
        """Choose a row of the file; where a filter hides it, the filter goes."""
        self._wanted_ordinal = ordinal
        if (place := self.model.place(ordinal)) is not None:
            self._wanted_ordinal = None
            self.table.choose(place)
        elif self.query.search or self.query.filter != "all":
            self.show_filter("all")

    def chosen_ordinal(self) -> int | None:
        """The chosen row."""
        return self.model.ordinal(self.table.current_row())

    @property
    def is_selecting(self) -> bool:
        """Whether rows are being looked for."""
        return self._selecting is not None

    def select(self) -> None:
        """Find the rows to show, off the window's thread."""
        feed = self._feed
        if feed.store is None or feed.rows is None:
            return
        if self._selecting is not None:
            self._selecting.cancel()
            feed.store.stop_searches()  # they would share the processor with this one
        self._selecting = self._tasks.run(
            select_rows,
            feed.store,
            feed.rows,
            self.query,
            on_done=self._on_selected,
            on_error=self._on_select_failed,
        )

    # Slots

    def _on_opened(self) -> None:
        if self._feed.store is None and self._feed.head is not None:
            self.model.show_lines(self._feed.head.lines)
            has_rows = self._feed.head.reader is not None
            self.nothing.say("Rows are shown once it is clear which column plays which role.")
            self.states.show_state("table" if has_rows else "nothing")
            if self._feed.head.lines:
                self.table.choose(0)

    def _drop_selection(self) -> None:
        if self._selecting is not None:
            self._selecting.cancel()
            self._selecting = None
        if self._wanted_ordinal is None:
            self._wanted_ordinal = self.chosen_ordinal()

    def _on_selected(self, ordinals: Ordinals) -> None:
        feed = self._feed
        self._selecting = None
        if feed.store is None or feed.rows is None:
            return
        chosen = self._wanted_ordinal if self._wanted_ordinal is not None else self.chosen_ordinal()
        before = self.model.rowCount()
        self.model.show_store(feed.store, feed.rows, ordinals)
        self.ordinals = ordinals
        self._say_count(len(ordinals))
        if self.table.current_row() < 0 or self.model.ordinal(self.table.current_row()) != chosen or not before:
            self._choose_again(chosen)

    def _choose_again(self, ordinal: int | None) -> None:
        """The row that was chosen before, else the first."""
        self._wanted_ordinal = None
        place = self.model.place(ordinal) if ordinal is not None else None
        if self.model.rowCount():
            self.table.choose(place if place is not None else 0)

    def _on_select_failed(self, error: Exception) -> None:
        self._selecting = None
        self._tasks.faulted.emit(error)

    def _ask_typed(self) -> None:
        words = self.search.text().strip()
        if words != self.query.search:
            self.ask(Query(words, self.query.filter, self.query.sort, self.query.descending))

    def _on_sort(self, section: int) -> None:
        sort = _SORTS[Column(section)]
        descending = not self.query.descending if self.query.sort == sort else sort == "tokens"
        shown = next(column for column, name in _SORTS.items() if name == sort)
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.table.horizontalHeader().setSortIndicator(shown, order)
        self.ask(Query(self.search.text().strip(), self.query.filter, sort, descending))

    def _on_row(self, row: int) -> None:
        ordinal = self.model.ordinal(row)
        if ordinal is not None:
            self.row_chosen.emit(ordinal)

    def _on_moved(self) -> None:
        progress = self._feed.progress
        self.bar.setVisible(progress is not None)
        self.model.set_counting(progress is not None)
        if progress is not None:
            name, done, total = progress
            self.bar.set_share(done / total if total else None)
            self.bar.setToolTip(f"{name}: {counted(done, 'row')}")

    def _open_filters(self) -> None:
        menu = self.build_filters()
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.filter.mapToGlobal(QPoint(-SHADOW, self.filter.height() - SHADOW + 4)))

    def build_filters(self) -> Menu:
        """The menu of filters, each with how many rows it shows."""
        menu = Menu(self)
        rows = self._feed.rows
        for key, one in FILTERS.items():
            amount = int(one.mask(rows).sum()) if rows is not None and rows.num_rows <= 100_000 else None
            words = one.title if amount is None else f"{one.title}   {figures.count(amount)}"
            icon = Icon.CHECK if key == self.query.filter else Icon.CIRCLE
            menu.add(words, lambda key=key: self.show_filter(key), icon=icon, enabled=amount != 0 or key == "all")  # type: ignore[misc]
        return menu

    def _say_count(self, shown: int) -> None:
        rows = self._feed.rows
        self.search.setPlaceholderText(f"Search {counted(rows.num_rows, 'row')}" if rows is not None else "Search rows")
        if shown:
            self.states.show_state("table")
            return
        what = f'No row holds "{self.query.search}".' if self.query.search else "No row is like this."
        self.nothing.say(what)
        self.states.show_state("nothing")
