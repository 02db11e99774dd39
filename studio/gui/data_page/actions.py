"""What can be done on the Data page: choosing a file, edits of the draft, edits of rows. Each can be undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtWidgets import QWidget

from studio.data.store.copying import Changes
from studio.data.store.digest import replace_emails
from studio.data.store.findings import Finding
from studio.data.store.view import FILTERS
from studio.errors import UserError
from studio.formats import Recognised
from studio.gui import figures
from studio.gui.context import Context
from studio.gui.data_page.columns_dialog import ColumnsDialog
from studio.gui.data_page.dialogs import EditDialog, GoToDialog
from studio.gui.data_page.edits import RowEdits
from studio.gui.data_page.feed import DataFeed
from studio.gui.files import ask_file
from studio.paths import resources_dir

_PATTERN = "Rows (*.jsonl *.ndjson *.json *.csv *.tsv *.parquet *.arrow *.feather *.txt *.md *.gz);;All files (*)"


class DataActions(RowEdits):
    """Actions of the page."""

    def __init__(self, context: Context, feed: DataFeed, page: QWidget) -> None:
        super().__init__(context, page)
        self._context, self._feed, self._page = context, feed, page

    # The file

    def import_file(self) -> None:
        """Ask for a file, and use it."""
        found = ask_file(self._page, "Import data", _PATTERN)
        if found is not None:
            self.use_file(found)

    def use_file(self, path: Path) -> None:
        """Learn from this file, where it lies."""
        self._switch_to(path, f"use {path.name}")

    def use_starter(self) -> None:
        """Learn from the data that came with the program."""
        self._switch_to(resources_dir() / "starter" / "data" / "voice.jsonl", "use the starter data")

    def look_again(self) -> None:
        """Open the file once more."""
        spec = self._feed.spec
        if spec is not None:
            self._feed.close()
            self._feed.show(spec)

    def _switch_to(self, path: Path, label: str) -> None:
        self.point_to(str(path), label, columns={}, format="auto", bad_rows="refuse")

    # The draft

    def set_holdout(self, value: float) -> None:
        """Hold out a share, or a number of rows."""
        self._edit("hold out", f"data.holdout={value:g}")

    def skip_bad_rows(self) -> None:
        """Go on without the rows that cannot be used."""
        self._edit("use the good rows", "data.bad_rows=skip")
        self._say("Rows that cannot be used are left out", "The run says how many, and lists the first.")

    def raise_max_length(self, length: int) -> None:
        """Read so many tokens of a row."""
        self._edit("raise max length", f"train.max_length={length}")
        self._say(f"Up to {figures.count(length)} tokens of a row are read", "Longer rows need more memory.")

    def map_columns(self) -> None:
        """Ask which column plays which role."""
        head, spec = self._feed.head, self._feed.spec
        if head is None or spec is None:
            return
        values = [value for value in head.values if value is not None]
        dialog = ColumnsDialog(values, spec.data.format, spec.data.columns, self._page)
        if dialog.exec():
            self.point_to_columns(dialog.format_key, dialog.columns)
        dialog.deleteLater()

    def point_to_columns(self, format_key: str, columns: Mapping[str, str]) -> None:
        """Read rows by these columns."""
        spec = self._context.session.spec
        assert spec is not None
        self.point_to(spec.data.path, "map columns", columns=dict(columns), format=format_key)

    def _edit(self, label: str, assignment: str) -> None:
        try:
            self._context.session.edit(assignment, label=label)
        except UserError as error:
            self._context.tasks.faulted.emit(error)

    def _say(self, text: str, detail: str) -> None:
        self._context.notify(text, detail, "good", ("Undo", self.undo))

    # Rows

    def fix(self, finding: Finding) -> None:
        """Mend a finding by its own way."""
        {"drop": self._drop_found, "mark_emails": self._mark_emails}[finding.fix](finding)

    def drop_row(self, number: int) -> None:
        """Leave one row out."""
        self.change(
            Changes(dropped=frozenset({number})),
            f"leave out row {number}",
            lambda _: f"Row {figures.count(number)} is left out",
        )

    def edit(self, number: int, row: Mapping[str, Any], reader: Recognised) -> None:
        """Ask how a row is to read."""
        dialog = EditDialog(f"Row {figures.count(number)}", row, reader, self._page)
        if dialog.exec():
            self.rewrite(number, dialog.row)
        dialog.deleteLater()

    def rewrite(self, number: int, row: Mapping[str, Any]) -> None:
        """Let a row read otherwise."""
        self.change(
            Changes(changed={number: row}), f"edit row {number}", lambda _: f"Row {figures.count(number)} is rewritten"
        )

    def use_good_rows(self) -> None:
        """Copy the rows before the damage into the project, and use them."""
        self.change(Changes(only_before_damage=True), "use the good rows", lambda _: "The good rows are used")

    def go_to_row(self, number: int, show: Callable[[int], object]) -> None:
        """Ask for a row's number, and show it."""
        store, rows = self._feed.store, self._feed.rows
        if store is None or rows is None or not rows.num_rows:
            return
        last = int(rows.columns.number[-1])
        dialog = GoToDialog(last, store.unit, number, self._page)
        if dialog.exec():
            # The row itself, or the next one where the line is empty.
            ordinal = int(np.searchsorted(rows.columns.number, dialog.number.value()))
            show(min(ordinal, rows.num_rows - 1))
        dialog.deleteLater()

    def _drop_found(self, finding: Finding) -> None:
        rows = self._feed.rows
        if rows is None:
            return
        numbers = rows.columns.number[FILTERS[finding.drops].mask(rows)]
        self.change(
            Changes(dropped=frozenset(numbers.tolist())),
            finding.fix_text.lower(),
            lambda count: f"{figures.count(count)} {'row is' if count == 1 else 'rows are'} left out",
        )

    def _mark_emails(self, finding: Finding) -> None:
        self.change(
            Changes(change=_without_emails),
            "replace e-mail addresses",
            lambda count: f"Addresses are replaced in {figures.count(count)} {'row' if count == 1 else 'rows'}",
        )


def _without_emails(row: Mapping[str, Any]) -> Mapping[str, Any]:
    changed: dict[str, Any] = replace_emails(dict(row))
    return changed
