"""This computer's facts, with and without a driver."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from studio.machine import resources


class NvmlError(Exception):
    """What the driver's library raises."""


class FakeNvml(SimpleNamespace):
    """A driver with one card that does not tell its power, as laptops do."""

    NVMLError = NvmlError
    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:
        return "Card"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=8_000_000_000, free=7_000_000_000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(gpu=50)

    def nvmlDeviceGetTemperature(self, handle: int, kind: int) -> int:
        return 61

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        raise NvmlError

    nvmlDeviceGetEnforcedPowerLimit = nvmlDeviceGetPowerUsage


def test_what_every_computer_has(tmp_path: Path) -> None:
    found = resources.read_resources(tmp_path / "not" / "there" / "yet")
    assert 0 < found.ram_free <= found.ram_total
    assert 0 < found.disk_free <= found.disk_total
    assert found.cpu_name and found.cpu_cores >= 1


def test_no_driver_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_nvml", lambda: None)
    assert resources.read_gpus() == ()


def test_a_card_that_does_not_tell_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_nvml", FakeNvml)
    (card,) = resources.read_gpus()
    assert (card.name, card.free_bytes, card.temperature, card.busy) == ("Card", 7_000_000_000, 61, 0.5)
    assert card.watts is None and card.watt_limit is None


def test_a_driver_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(FakeNvml):
        def nvmlDeviceGetCount(self) -> int:
            raise NvmlError

    monkeypatch.setattr(resources, "_nvml", Gone)
    assert resources.read_gpus() == ()


@pytest.mark.parametrize(
    ("cpuinfo", "is_slow"),
    [
        ("processor : 0\nflags\t\t: fpu sse2 avx avx2 fma\n", True),
        ("flags : fpu avx2 avx512f avx512bw avx512dq avx512vl\n", False),
        ("flags : fpu avx2 amx_bf16\n", False),
        ("Features : fp asimd\n", False),
        ("", False),
    ],
)
def test_emulated_bf16_is_known_by_the_processor(cpuinfo: str, is_slow: bool) -> None:
    assert resources.emulates_bf16(cpuinfo) is is_slow
