"""Lost and cut files of a package are found by its own list."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from installers.failures import SetupError
from installers.installed import _missing, damaged, survey

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def package(tmp_path: Path) -> metadata.PathDistribution:
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "__init__.py").write_text("x = 1\n")
    (tmp_path / "thing" / "cache.pyc").write_text("")
    (tmp_path / "thing" / "a, b.txt").write_text("12345")
    info = tmp_path / "thing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: Thing\nVersion: 1.0\n")
    rows = [
        "thing/__init__.py,sha256=x,6",
        "thing/cache.pyc,,",
        '"thing/a, b.txt",sha256=y,5',
        "thing-1.0.dist-info/RECORD,,",
    ]
    (info / "RECORD").write_text("\n".join(rows) + "\n")
    return metadata.PathDistribution(info)


def test_a_whole_package(package: metadata.PathDistribution, tmp_path: Path) -> None:
    assert _missing(package) == []
    (tmp_path / "thing" / "cache.pyc").unlink()
    assert _missing(package) == [], "bytecode may come and go"


def test_lost_files(package: metadata.PathDistribution, tmp_path: Path) -> None:
    (tmp_path / "thing" / "__init__.py").write_text("")
    (tmp_path / "thing" / "a, b.txt").unlink()
    assert _missing(package) == ["thing/__init__.py", "thing/a, b.txt"]
    (tmp_path / "thing-1.0.dist-info" / "RECORD").unlink()
    assert _missing(package) == ["RECORD"]


def test_what_to_install_again() -> None:
    expected = {"a": "1", "b": "2", "c": "3", "d": "4"}
    assert damaged(expected, {"a": "1", "b": "2?", "c": "9", "own": "1"}) == ["b", "c", "d"]


def test_a_real_environment_is_whole() -> None:
    found = survey(Path(sys.executable), ROOT)
    assert found["pytest"] == metadata.version("pytest")


def test_no_interpreter(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"Delete the folder \.venv"):
        survey(tmp_path / "python", ROOT)
