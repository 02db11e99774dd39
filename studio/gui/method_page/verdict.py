"""A forecast's verdict in words, with its icon and tone: never by colour alone."""

from __future__ import annotations

from studio.gui.controls.text import Tone
from studio.gui.figures import gigabytes, plain_gigabytes
from studio.gui.icons import Icon
from studio.planner.forecast import Forecast

_KIND_WORDS = {
    "weights": "Weights",
    "adapter": "Adapter",
    "gradients": "Gradients",
    "optimizer": "Optimizer",
    "activations": "Activations",
    "logits": "Logits",
    "quantisation": "Quantising",
    "cache": "Cache",
    "other": "CUDA etc.",
}

_LOOKS: dict[str, tuple[Icon, Tone]] = {
    "fits": (Icon.CHECK_CIRCLE, "accent_text"),
    "tight": (Icon.WARNING, "warn"),
    "wears": (Icon.WARNING, "warn"),
    "short": (Icon.CROSS_CIRCLE, "danger"),
    "impossible": (Icon.CROSS_CIRCLE, "danger"),
}


def look(verdict: str) -> tuple[Icon, Tone]:
    """Icon and tone of a verdict; of one that is not known yet as well."""
    return _LOOKS.get(verdict, (Icon.CLOCK, "text3"))


def kind_words(kind: str, device: str) -> str:
    """What a part of memory is called; only a card has CUDA's own."""
    return "Other" if kind == "other" and device == "cpu" else _KIND_WORDS.get(kind, kind.capitalize())


def missing_bytes(forecast: Forecast) -> int:
    """What is lacking most, on the device, of RAM or on the disk; 0 when nothing is."""
    lacking = (
        forecast.peak_bytes - forecast.limit_bytes,
        forecast.ram_bytes - forecast.ram_limit,
        forecast.disk_bytes - forecast.disk_limit,
    )
    return max(0, *lacking)


def words(forecast: Forecast | None) -> str:
    """'Fits, 5.3 GB to spare', 'Tight, 0.5 GB to spare', 'Wears the drive', '0.9 GB short', 'Not possible'."""
    if forecast is None:
        return "not known yet"
    amount = gigabytes(missing_bytes(forecast) or forecast.margin_bytes)
    return {
        "fits": f"Fits, {amount} to spare",
        "tight": f"Tight, {amount} to spare",
        "wears": "Wears the drive",
        "short": f"{amount} short",
        "impossible": "Not possible",
    }[forecast.verdict]


def shortage(title: str, forecast: Forecast | None) -> str:
    """The sentence that says why a plan does not fit; "" when it does."""
    if forecast is None or forecast.verdict not in ("wears", "short", "impossible"):
        return ""
    if forecast.reason:
        return forecast.reason
    limit = plain_gigabytes(forecast.limit_bytes)
    return f"{title} needs {gigabytes(forecast.peak_bytes)}, {limit} GB are free."
