"""Amounts as a person reads them, in the window, the terminal and every sentence: sizes, numbers, durations."""

from __future__ import annotations

import math
import re

from studio.errors import UserError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def human_bytes(count: float) -> str:
    """'512 B', '3.5 MB', '48 MB', '0.85 GB', '8.0 GB', '476 GB', '1.2 TB': decimal, no fraction from 20 on."""
    if abs(count) < 1e3:
        return f"{count:.0f} B" if count else "0 GB"
    if abs(count) < 9.995e5:
        return f"{count / 1e3:.0f} kB"
    if abs(count) < 9.95e7:
        return f"{_one_or_none(count / 1e6)} MB"
    if abs(count) < 9.95e8:
        return f"{count / 1e9:.2f} GB"
    return f"{_one_or_none(count / 1e12)} TB" if abs(count) >= 9.995e11 else f"{_one_or_none(count / 1e9)} GB"


def _one_or_none(amount: float) -> str:
    return f"{amount:.1f}" if abs(amount) < 19.95 else f"{amount:,.0f}"


def human_number(value: float, digits: int = 3) -> str:
    """'0.02', '2e-5', '1.25e-4': short, a small one with its power of ten, never with a zero before it; read back."""
    if value == 0 or abs(value) >= 0.001 or not math.isfinite(value):
        mantissa, letter, power = f"{value:.{digits}g}".partition("e")
    else:
        mantissa, letter, power = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(power)}" if letter else mantissa


def counted(number: float, noun: str) -> str:
    """'1 row', '4,126 rows', '0.5 epochs'."""
    amount = f"{number:,.0f}" if number == round(number) else human_number(number)
    return f"{amount} {noun}" if number == 1 else f"{amount} {noun}s"


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
