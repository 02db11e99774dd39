"""A folder that may be looked into and not written to, for people who run tests as themselves and as root."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NOBODY = 65534

needs_rights = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Nothing in `folder` can be made or changed meanwhile; nor elsewhere, when it is root who asks."""
    mode, is_root = folder.stat().st_mode, os.geteuid() == 0
    folder.chmod(0o555)
    if is_root:  # whom no mode stops
        os.seteuid(_NOBODY)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(mode)
