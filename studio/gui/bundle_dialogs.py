"""The two questions about project files: what travels along, and where one is unpacked."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QHBoxLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Check, Dialog, Elided, Field, Hairline, ScrollColumn, Text
from studio.project.bundle_rules import Manifest

_SHOWN_FILES = 200


def ask_with(parent: QWidget) -> frozenset[str] | None:
    """What else than settings and curves travels along; None when it is called off."""
    text = "Settings, curves and notes are in it always; paths, names and tokens of this computer never are."
    dialog = Dialog("Save as project file", text, parent=parent)
    dialog.body.addWidget(Text(text, "body", "text2", wrap=True))
    rows, adapter = Check("The rows of data"), Check("The tuned weights of the newest finished run")
    dialog.body.addWidget(rows)
    dialog.body.addWidget(adapter)
    dialog.add_button("Cancel", "quiet", dialog.reject)
    dialog.add_button("Choose a place…", "primary", dialog.accept)
    said = dialog.exec()
    chosen = {key for key, box in (("data", rows), ("adapter", adapter)) if box.isChecked()}
    dialog.deleteLater()
    return frozenset(chosen) if said else None


def ask_where(parent: QWidget, path: Path, manifest: Manifest, folder: Path) -> Path | None:
    """Show what a project file holds before anything is written, and ask for its folder; None when called off."""
    dialog = where_dialog(parent, path, manifest, folder)
    said = dialog.exec()
    place = dialog.place.text().strip()  # type: ignore[attr-defined]
    dialog.deleteLater()
    return Path(place).expanduser() if said and place else None


def where_dialog(parent: QWidget, path: Path, manifest: Manifest, folder: Path) -> Dialog:
    """The dialog behind `ask_where`; its `place` is the field with the folder."""
    total = sum(entry.bytes for entry in manifest.files)
    count = len(manifest.files)
    line = f"{count} file{'' if count == 1 else 's'}, {figures.gigabytes(total)}. Nothing in it can run by itself."
    dialog = Dialog(f"Open {path.name}", f"{line} It is unpacked only once you say so.", width=540, parent=parent)
    dialog.body.addWidget(Text(line, "body", "text2", wrap=True))
    listing = ScrollColumn(spacing=2)
    listing.setFixedHeight(160)
    for entry in manifest.files[:_SHOWN_FILES]:
        listing.column.addLayout(_entry(entry.path, entry.bytes))
    if count > _SHOWN_FILES:
        listing.column.addWidget(Text(f"and {figures.count(count - _SHOWN_FILES)} more", "small", "text3"))
    listing.column.addStretch(1)
    dialog.body.addWidget(listing)
    dialog.body.addWidget(Hairline())
    dialog.body.addWidget(Text("Unpack into", "small_strong", "text2"))
    place = Field(name="Folder to unpack into")
    place.setText(str(_free(folder / path.stem)))
    dialog.body.addWidget(place)
    dialog.place = place  # type: ignore[attr-defined]
    dialog.add_button("Cancel", "quiet", dialog.reject)
    dialog.add_button("Unpack and open", "primary", dialog.accept)
    return dialog


def _entry(path: str, size: int) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(Elided(path, "mono", "text2"), 1)
    row.addWidget(Text(figures.gigabytes(size), "small", "text3"))
    return row


def _free(folder: Path) -> Path:
    candidates = [folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, 100))]
    return next((path for path in candidates if not path.exists()), folder)
