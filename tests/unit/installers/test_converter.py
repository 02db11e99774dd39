"""The converter comes out of the archive whole, and only what is wanted comes out."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from installers.converter import is_whole, unpack_converter

_TOP = "llama_cpp_python-0.3.36/vendor/llama.cpp/"


def write_archive(path: Path, extra: dict[str, bytes] | None = None) -> Path:
    files = {
        "convert_hf_to_gguf.py": b"import conversion\n",
        "convert_lora_to_gguf.py": b"",
        "conversion/__init__.py": b"x = 1\n",
        "gguf-py/gguf/constants.py": b"y = 2\n",
        "ggml/src/huge.c": b"int main;",
        **(extra or {}),
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(_TOP + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo(_TOP + "conversion/link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


def test_only_the_converter_is_unpacked(tmp_path: Path) -> None:
    target = tmp_path / "share" / "llama.cpp"
    unpack_converter(write_archive(tmp_path / "a.tar.gz", {"conversion/../../../../evil.py": b"evil"}), target)
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert found == {
        "VERSION", "convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion/__init__.py",
        "gguf-py/gguf/constants.py",
    }  # fmt: skip
    assert not list(tmp_path.rglob("evil.py"))
    assert json.loads((target / "VERSION").read_text())["llama_cpp_python"] == "0.3.36"
    assert is_whole(target)


@pytest.mark.parametrize("damage", ["gone", "cut", "version", "all"])
def test_damage_is_seen_and_mended(tmp_path: Path, damage: str) -> None:
    target = tmp_path / "llama.cpp"
    archive = write_archive(tmp_path / "a.tar.gz")
    unpack_converter(archive, target)
    if damage == "gone":
        (target / "conversion" / "__init__.py").unlink()
    elif damage == "cut":
        (target / "conversion" / "__init__.py").write_text("")
    elif damage == "version":
        (target / "VERSION").write_text("{")
    else:
        target.rename(tmp_path / "moved")
    assert not is_whole(target)
    unpack_converter(archive, target)
    assert is_whole(target)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".part")]


def test_a_cut_archive_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "llama.cpp"
    archive = write_archive(tmp_path / "a.tar.gz")
    unpack_converter(archive, target)
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises((tarfile.TarError, EOFError, OSError)):
        unpack_converter(archive, target)
    assert is_whole(target)
