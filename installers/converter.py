"""Takes llama.cpp's converter out of the llama-cpp-python source archive, and tells whether it is whole."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from installers.llama_build import ARCHIVE, ARCHIVE_SHA256, VERSION

_INSIDE = f"{ARCHIVE.removesuffix('.tar.gz')}/vendor/llama.cpp/"
_WANTED = (
    "convert_hf_to_gguf.py",
    "convert_lora_to_gguf.py",
    "LICENSE",
    "conversion/",
    "gguf-py/gguf/",
    "gguf-py/LICENSE",
)


def unpack_converter(archive: Path, target: Path) -> None:
    """Replace `target` with the converter of `archive`. `VERSION` is written last: with it the folder is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent, ignore_cleanup_errors=True) as name:
        part = Path(name) / "llama.cpp"
        files = _extract(archive, part)
        record = {"llama_cpp_python": VERSION, "archive": ARCHIVE, "sha256": ARCHIVE_SHA256, "files": files}
        (part / "VERSION").write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
        if target.exists():
            os.replace(target, Path(name) / "old")
        os.replace(part, target)


def _extract(archive: Path, part: Path) -> dict[str, int]:
    """Write the wanted files under `part`; returns their sizes. Links and anything outside are left alone."""
    sizes: dict[str, int] = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            inside = member.name.removeprefix(_INSIDE)
            if not member.isfile() or inside == member.name or not inside.startswith(_WANTED) or ".." in inside:
                continue
            source = tar.extractfile(member)
            assert source is not None
            path = part / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            with source, path.open("wb") as file:
                shutil.copyfileobj(source, file)
            sizes[inside] = member.size
    assert "convert_hf_to_gguf.py" in sizes, "the archive has no converter where it used to be"
    return sizes


def is_whole(target: Path) -> bool:
    """Whether every file of the converter of this version is there with its size."""
    try:
        record = json.loads((target / "VERSION").read_text(encoding="utf-8"))
        if record["sha256"] != ARCHIVE_SHA256:
            return False
        return all((target / name).stat().st_size == size for name, size in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
