"""Packs a project into one `.tunesmith` file: a zip whose manifest names every file with size and sha256."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from studio import __version__
from studio.errors import UserError
from studio.paths import atomic_path
from studio.project import bundle_contents as contents
from studio.project.bundle_rules import FREE_BYTES, MANIFEST, MAX_RATIO, Entry, Manifest, check_path, check_unique
from studio.project.folder import Project
from studio.spec.file import draft_values, dump

CHOICES = ("data", "adapter")
_BLOCK = 1 << 20
_STORED = {".safetensors", ".parquet", ".arrow", ".feather"}  # weights hardly shrink; zeros would shrink too well


def pack(project: Project, target: Path, *, include: frozenset[str] = frozenset()) -> Manifest:
    """Write `target`, complete or not at all.

    Args:
        project: whose draft, run records and metrics always travel.
        target: the file to write.
        include: any of `CHOICES`: the rows, the newest tuned weights.

    Raises:
        UserError: something chosen is not there, or cannot be named in a bundle.
    """
    if target.is_dir():
        raise UserError(f"{target} is a folder.", "Name a file such as project.tunesmith.")
    draft = project.draft()
    model = contents.model_origin(draft, project.folder)
    data = contents.data_origin(draft, project.folder, is_included="data" in include)
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        writer = _Writer(archive)
        writer.add_text("project.yaml", dump(draft_values(contents.portable_spec(draft, project.folder))))
        _add_runs(writer, project, with_result="adapter" in include)
        if "data" in include:
            writer.add_file(f"data/{data.name}", Path(project.absolute(draft).data.path))
        manifest = Manifest(
            project=project.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            program=__version__,
            model=model,
            data=data,
            files=tuple(writer.entries),
            runs=tuple(run.name for run in project.runs()),
        )
        check_unique(entry.path for entry in writer.entries)
        archive.writestr(MANIFEST, json.dumps(manifest.as_dict(), indent=1))
    return manifest


def _add_runs(writer: _Writer, project: Project, *, with_result: bool) -> None:
    chosen = contents.with_result(project) if with_result else None
    if with_result and chosen is None:
        raise UserError("There are no tuned weights to pack.", "Train first, or leave out --with adapter.")
    for run in project.runs():
        for path, text in contents.run_texts(run, project.folder):
            writer.add_text(path, text)
    for path, file in contents.result_files(chosen) if chosen else ():
        if file.suffix == ".json":
            writer.add_text(path, contents.cleaned_json(file.read_text(encoding="utf-8")))
        else:
            writer.add_file(path, file)


class _Writer:
    """Adds files to an archive and notes what they are."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.entries: list[Entry] = []

    def add_text(self, path: str, text: str) -> None:
        content = text.encode()
        self._archive.writestr(check_path(path), content)
        self.entries.append(Entry(path, len(content), hashlib.sha256(content).hexdigest()))

    def add_file(self, path: str, source: Path) -> None:
        info = zipfile.ZipInfo(check_path(path))
        size = source.stat().st_size
        info.compress_type = zipfile.ZIP_STORED if _is_stored(source, size) else zipfile.ZIP_DEFLATED
        with source.open("rb") as file, self._archive.open(info, "w", force_zip64=size >= 1 << 31) as out:
            written, digest = _copy(file, out)
        self.entries.append(Entry(path, written, digest))


def _is_stored(source: Path, size: int) -> bool:
    """Whether to leave a file uncompressed, so that the bundle stays within the ratio a reader accepts."""
    if source.suffix.lower() in _STORED:
        return True
    if size <= FREE_BYTES:
        return False
    import zlib

    with source.open("rb") as file:
        block = file.read(_BLOCK)
    return len(block) > len(zlib.compress(block)) * MAX_RATIO / 2


def _copy(file: IO[bytes], out: IO[bytes]) -> tuple[int, str]:
    digest, written = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        digest.update(block)
        out.write(block)
        written += len(block)
    return written, digest.hexdigest()
