"""What this computer has and how much of it is free now: cards, RAM, disk, processor. Milliseconds, no torch."""

from __future__ import annotations

import contextlib
import functools
import platform
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from studio.machine.other_drives import other_drives
from studio.paths import nearest_existing


@dataclass(frozen=True)
class Gpu:
    """One card. What its driver does not tell is None.

    Attributes:
        index: its number, as in "cuda:1".
        free_bytes: dedicated memory that no program has taken; memory shared with the system never counts.
        temperature: degrees Celsius.
        busy: share of the last moment in which it computed, 0 to 1.
    """

    index: int
    name: str
    total_bytes: int
    free_bytes: int
    temperature: float | None = None
    watts: float | None = None
    watt_limit: float | None = None
    busy: float | None = None


@dataclass(frozen=True)
class Resources:
    """This computer at one moment.

    Attributes:
        ram_free: what a program can take without swapping.
        emulates_bf16: whether the processor has no 16-bit arithmetic.
        stream_drives: that a streamed run would be shared out between.
    """

    gpus: tuple[Gpu, ...]
    ram_total: int
    ram_free: int
    disk_total: int
    disk_free: int
    cpu_name: str
    cpu_cores: int
    emulates_bf16: bool = False
    stream_drives: int = 1


def read_resources(folder: Path) -> Resources:
    """This computer now; the disk is the one that `folder` (which need not exist yet) lies on."""
    memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(nearest_existing(folder)))
    return Resources(
        gpus=read_gpus(),
        ram_total=memory.total,
        ram_free=memory.available,
        disk_total=disk.total,
        disk_free=disk.free,
        cpu_name=_cpu_name(),
        cpu_cores=_cores(),
        emulates_bf16=emulates_bf16(),
        stream_drives=1 + len(other_drives(folder)),
    )


_FAST_BF16 = ({"avx512bw", "avx512dq", "avx512vl"}, {"amx_bf16"})
"""What a processor must have of either for torch's 16-bit products not to be emulated."""


def computes_bf16_slowly() -> bool:
    """Whether this computer trains on a processor that emulates bf16, as none does that has a card."""
    return not read_gpus() and emulates_bf16()


@functools.cache
def emulates_bf16(cpuinfo: str | None = None) -> bool:
    """Whether the processor emulates bf16: ten to a hundred times slower than fp32.

    Args:
        cpuinfo: text in the form of Linux's /proc/cpuinfo; None reads this computer's. What cannot be told is taken to
            be fast.
    """
    if cpuinfo is None:
        try:
            cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
    for line in cpuinfo.splitlines():
        if line.startswith("flags"):  # so x86 writes it
            flags = set(line.partition(":")[2].split())
            return not any(wanted <= flags for wanted in _FAST_BF16)
    return False


def cache_room(free: int, wanted: int | None) -> int:
    """Bytes of free RAM that weights from the drive, or graphs of their layers, may stay in: as many as are wanted, or
    half of what is spare.

    A quarter of what is free is left alone: other programs grow, too.
    """
    return wanted if wanted is not None else int(0.75 * free) // 2


def read_gpus() -> tuple[Gpu, ...]:
    """NVIDIA cards in the driver's order; none when there is no driver, or when it fails."""
    nvml = _nvml()
    if nvml is None:
        return ()
    try:
        return tuple(_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
    except nvml.NVMLError:
        return ()  # the driver was updated or reset under us


def _gpu(nvml: ModuleType, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    name = nvml.nvmlDeviceGetName(handle)
    busy = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    watts = _ask(nvml, nvml.nvmlDeviceGetPowerUsage, handle)
    limit = _ask(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return Gpu(
        index=index,
        name=name.decode() if isinstance(name, bytes) else name,
        total_bytes=int(memory.total),
        free_bytes=int(memory.free),
        temperature=_ask(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        watts=None if watts is None else watts / 1000,
        watt_limit=None if limit is None else limit / 1000,
        busy=None if busy is None else busy.gpu / 100,
    )


def _ask(nvml: ModuleType, question: Any, *arguments: Any) -> Any:
    """The answer, or None: laptops and virtual cards do not tell everything."""
    try:
        return question(*arguments)
    except nvml.NVMLError:
        return None


@functools.cache
def _nvml() -> ModuleType | None:
    """NVIDIA's management library, started once a process; None without a driver."""
    with contextlib.suppress(ImportError, OSError):
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None
        module: ModuleType = pynvml
        return module
    return None


@functools.cache
def is_of_intel() -> bool:
    """Whether the processor is one of Intel's."""
    names = (_cpu_line("vendor_id"), _cpu_line("model name"), platform.processor())
    return any("intel" in name.lower() for name in names)


@functools.cache
def _cpu_name() -> str:
    return _cpu_line("model name") or platform.processor() or platform.machine()


def _cpu_line(name: str) -> str:
    """What Linux says of the first processor, "" where it does not or is another system."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []:
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""


@functools.cache
def _cores() -> int:
    """Cores this process may use: fewer than the machine has, in a container or under taskset."""
    own = psutil.Process()
    allowed = len(own.cpu_affinity() or ()) if hasattr(own, "cpu_affinity") else 0
    return allowed or psutil.cpu_count() or 1
