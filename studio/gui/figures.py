"""Figures as the window writes them: groups of three, a space before the unit, unknown said as such."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from studio.sizes import human_bytes, human_number

UNKNOWN = "not known yet"


def count(number: float) -> str:
    """'11,842'."""
    return f"{round(number):,}" if math.isfinite(number) else UNKNOWN


def short_count(number: float) -> str:
    """'950', '11.8 k', '4.07 M', '8.03 B': three figures at most."""
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= limit:
            return f"{_three(number / (1e3 if unit == 'k' else limit))} {unit}"
    return count(number)


def gigabytes(size: float) -> str:
    """'5.9 GB', '212 GB', '48 MB': as everywhere, and said where it is not known."""
    return human_bytes(size) if math.isfinite(size) else UNKNOWN


def plain_gigabytes(size: float) -> str:
    """'5.9', '212': for where the unit stands behind another figure."""
    return f"{size / 1e9:.1f}" if abs(size) < 2e10 else f"{size / 1e9:,.0f}"


def of_gigabytes(part: float, whole: float) -> str:
    """'6.1 of 12.0 GB'."""
    return f"{plain_gigabytes(part)} of {plain_gigabytes(whole)} GB"


def duration(seconds: float) -> str:
    """'41 s', '12 min', '2 h 50 min', '3 d 4 h'."""
    if not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 or seconds == 0 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def loss(value: float | None) -> str:
    """'1.379', or that it is not known."""
    return f"{value:.3f}" if value is not None and math.isfinite(value) else UNKNOWN


def rate(value: float) -> str:
    """A learning rate: '1.2e-4', '0.02'."""
    return human_number(value, 3 if abs(value) >= 0.001 else 2) if math.isfinite(value) else UNKNOWN


def share(value: float) -> str:
    """'56 %', '1.1 %': a fraction as percent."""
    if not math.isfinite(value):
        return UNKNOWN
    percent = 100 * value
    return f"{percent:.1f} %" if 0 < abs(percent) < 9.95 else f"{percent:.0f} %"


def clock(unix_seconds: float) -> str:
    """'02:05'."""
    return f"{datetime.fromtimestamp(unix_seconds):%H:%M}"


def when(unix_seconds: float, now: float | None = None) -> str:
    """'just now', '14:20', 'Tue 14:20', '12 Nov', '3 Mar 2024'."""
    if not unix_seconds:
        return ""
    then = datetime.fromtimestamp(unix_seconds)
    today = datetime.fromtimestamp(now) if now is not None else datetime.now()
    age = today - then
    if timedelta(0) <= age < timedelta(minutes=1):
        return "just now"
    if then.date() == today.date():
        return f"{then:%H:%M}"
    if timedelta(0) < age < timedelta(days=6):
        return f"{then:%a %H:%M}"
    return f"{then.day} {then:%b}" if age < timedelta(days=330) else f"{then.day} {then:%b %Y}"


def _three(value: float) -> str:
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f}"
