"""Amounts as a person reads them: decimal sizes (8 GB = 8e9 bytes) and durations."""

from __future__ import annotations

import re

from studio.errors import UserError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def human_bytes(count: float) -> str:
    """'512 B', '3.5 MB', '8.0 GB', '476 GB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return _in_units(count, unit)
        count /= 1000
    return _in_units(count, "TB")


def _in_units(count: float, unit: str) -> str:
    return f"{count:.0f} {unit}" if unit == "B" or abs(count) >= 99.95 else f"{count:.1f} {unit}"


def human_share(share: float, digits: int = 1) -> str:
    """'17.0 %' of 0.17."""
    return f"{100 * share:.{digits}f} %"


def human_seconds(seconds: float) -> str:
    """'4.2 s', '3 min 05 s', '2 h 10 min'."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def parse_bytes(text: str) -> int:
    """'8GB', '7.5 gb', '16GiB' or plain bytes as a number of bytes.

    Raises:
        UserError: it is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise UserError(f'"{text}" is no size.', "Write it like 8GB, 7.5GB or 16GiB.")
    return int(float(found[1]) * _UNITS[found[2]])
