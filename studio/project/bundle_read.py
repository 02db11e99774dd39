"""Opens a `.tunesmith` file from a stranger: everything is looked at before anything is written."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from studio.errors import UserError
from studio.project.bundle_manifest import parse_manifest
from studio.project.bundle_rules import (
    FREE_BYTES,
    MANIFEST,
    MAX_ENTRIES,
    MAX_MANIFEST_BYTES,
    MAX_RATIO,
    Entry,
    Manifest,
    check_path,
    check_unique,
)
from studio.project.runs import Run
from studio.sizes import human_bytes
from studio.spec.file import load_spec
from studio.spec.run_spec import RunSpec

_BLOCK = 1 << 20
_DAMAGED = "Ask for it to be sent again."


def inspect(source: Path) -> Manifest:
    """What a bundle holds, after checking that all of it may be unpacked. Writes nothing.

    Raises:
        UserError: it is no bundle, damaged, unsafe, or a newer program's.
    """
    with _open(source) as archive:
        return _checked(source, archive)


def unpack(source: Path, target: Path) -> Manifest:
    """Unpack a bundle into a new or empty folder: all of it, verified, or nothing.

    Raises:
        UserError: as `inspect`, or the folder is in use, or content does not match its checksum.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is not empty.", "Name a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _open(source) as archive, tempfile.TemporaryDirectory(prefix=".unpack-", dir=target.parent) as temporary:
        manifest = _checked(source, archive)
        _check_disk(manifest, target.parent)
        folder = Path(temporary) / "project"
        for entry in manifest.files:
            _extract(archive, entry, folder)
        _check_project(folder)
        (folder / "bundle.json").write_text(json.dumps(manifest.as_dict(), indent=1), encoding="utf-8")
        if target.exists():
            target.rmdir()
        shutil.move(folder, target)
    return manifest


def _open(source: Path) -> zipfile.ZipFile:
    if not source.is_file():
        raise UserError(f"{source} is not there.", "Check the path.")
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, RuntimeError, EOFError) as error:
        raise UserError(f"{source.name} is no Tunesmith file, or is damaged.", _DAMAGED) from error


def _checked(source: Path, archive: zipfile.ZipFile) -> Manifest:
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise UserError(f"{source.name} holds {len(infos)} files, more than a project has.", "Do not open it.")
    for info in infos:
        _check_info(info)
    check_unique(info.filename for info in infos)
    total = sum(info.file_size for info in infos)
    if total > FREE_BYTES and total > MAX_RATIO * source.stat().st_size:
        raise UserError(f"{source.name} would unpack to {human_bytes(total)}, far beyond its size.", "Do not open it.")
    manifest = _manifest(archive)
    _compare(manifest, infos)
    return manifest


def _check_info(info: zipfile.ZipInfo) -> None:
    check_path(info.filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    is_plain = kind in (0, stat.S_IFREG) and info.orig_filename == info.filename
    if not is_plain or info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"The file holds something other than plain files: {info.filename[:80]!r}.", "Do not open it.")


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    if MANIFEST not in archive.namelist():
        raise UserError("The file has no manifest, so it is no Tunesmith file.", _DAMAGED)
    return parse_manifest(_read(archive, MANIFEST, MAX_MANIFEST_BYTES))


def _compare(manifest: Manifest, infos: list[zipfile.ZipInfo]) -> None:
    """The manifest names exactly what is inside."""
    said = {entry.path: entry.bytes for entry in manifest.files}
    inside = {info.filename: info.file_size for info in infos if info.filename != MANIFEST}
    if said != inside or len(said) != len(manifest.files) or "project.yaml" not in said:
        raise UserError("The file's manifest and its contents differ.", _DAMAGED)


def _check_disk(manifest: Manifest, folder: Path) -> None:
    needed, free = sum(entry.bytes for entry in manifest.files), shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"It needs {human_bytes(needed)}, and {folder} has {human_bytes(free)} free.", "Free some space."
        )


def _extract(archive: zipfile.ZipFile, entry: Entry, folder: Path) -> None:
    target = folder / check_path(entry.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        digest = _copy(archive, entry, out)
    if digest != entry.sha256:
        raise UserError(f"{entry.path} is damaged: its checksum is wrong.", _DAMAGED)


def _copy(archive: zipfile.ZipFile, entry: Entry, out: IO[bytes]) -> str:
    digest, left = hashlib.sha256(), entry.bytes
    try:
        with _entry(archive, entry.path) as file:
            while block := file.read(min(_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    raise zipfile.BadZipFile("longer than announced")
                digest.update(block)
                out.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise UserError(f"{entry.path} is damaged.", _DAMAGED) from error
    return digest.hexdigest()


def _entry(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A file inside, opened; one said to begin before the archive does is damaged, too."""
    try:
        return archive.open(name)
    except OSError as error:
        raise zipfile.BadZipFile("cannot be reached") from error


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A small file, never more than `limit` bytes whatever the archive announces."""
    try:
        with _entry(archive, name) as file:
            content = file.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise UserError(f"{name} is damaged.", _DAMAGED) from error
    if len(content) > limit:
        raise UserError(f"{name} is far too large.", "Do not open it.")
    return content


def _check_project(folder: Path) -> None:
    """The settings can be read, and name nothing outside the project."""
    _check_places(load_spec(folder / "project.yaml"))
    for path in folder.glob("runs/*/run.yaml"):
        _check_places(Run(path.parent).frozen_spec())


def _check_places(spec: RunSpec) -> None:
    for place in (spec.data.path, spec.model.source):
        path = place.replace("\\", "/")
        if path.startswith(("/", "~")) or path[1:2] == ":" or ".." in path.split("/"):
            raise UserError(f"The project names a place outside itself: {place[:80]!r}.", "Do not open it.")
