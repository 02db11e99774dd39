"""Which PyTorch suits this computer: one table, no I/O. What the computer has is found in `facts.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Backend = Literal["cpu", "cuda", "rocm", "apple"]

TORCH_VERSION = "2.13.0"
PYTORCH_INDEX = "https://download.pytorch.org/whl/"


@dataclass(frozen=True)
class Facts:
    """What the choice depends on.

    Attributes:
        system: `platform.system()`.
        machine: `platform.machine()`, lower case.
        nvidia_driver: driver version as (major, minor), None without an NVIDIA GPU and driver.
        compute_capability: of the newest NVIDIA GPU, None when the driver does not tell.
        has_amd_gpu: an AMD GPU that ROCm's kernel driver has opened.
    """

    system: str
    machine: str
    nvidia_driver: tuple[int, int] | None = None
    compute_capability: tuple[int, int] | None = None
    has_amd_gpu: bool = False


@dataclass(frozen=True)
class TorchChoice:
    """A build of PyTorch.

    Attributes:
        backend: what it computes on.
        tags: the local versions that would do, best first; each is also the last part of the index address.
            Empty: the configured package sources.
        why: one sentence for the person.
        advice: what they could do to get more, or an empty string.
        needs_gigabytes: disk space for the whole environment, decimal.
    """

    backend: Backend
    tags: tuple[str, ...]
    why: str
    advice: str = ""
    needs_gigabytes: float = 4.0

    @property
    def label(self) -> str:
        return {"cpu": "CPU", "cuda": "CUDA", "rocm": "ROCm", "apple": "Apple"}[self.backend]


@dataclass(frozen=True)
class CudaBuild:
    """One CUDA build of this PyTorch version and what it runs on."""

    tag: str
    lowest_driver: tuple[int, int]
    lowest_capability: tuple[int, int]
    highest_capability: tuple[int, int]


# Best first. CUDA 13 dropped everything before Turing; 12.6 is the last for those, and has no Blackwell kernels
# (PyTorch's CUDA support matrix, https://github.com/pytorch/pytorch/issues/190355). A driver of the 12.x line runs any
# 12.x build (NVIDIA's minor version compatibility), hence 525 and not 560 for 12.6.
CUDA_BUILDS: tuple[CudaBuild, ...] = (
    CudaBuild("cu130", (580, 0), (7, 5), (99, 0)),
    CudaBuild("cu126", (525, 60), (5, 0), (9, 0)),
)
ROCM_TAGS = ("rocm7.2", "rocm7.1")
CPU_TAGS = ("cpu",)
_X86 = ("x86_64", "amd64")
_ARM = ("arm64", "aarch64")


def choose_torch(facts: Facts, wanted: str = "auto") -> TorchChoice:
    """The build for these facts, or the one asked for with `--backend`."""
    if wanted == "cpu":
        return _cpu(facts, "asked for with --backend cpu")
    if wanted == "cuda":
        return TorchChoice(
            "cuda", _cuda_tags(facts) or ("cu130",), "asked for with --backend cuda", needs_gigabytes=12.0
        )
    if wanted == "rocm":
        return TorchChoice("rocm", ROCM_TAGS, "asked for with --backend rocm", needs_gigabytes=20.0)
    if wanted == "apple" or facts.system == "Darwin":
        return _apple(facts)
    if facts.nvidia_driver is not None:
        return _nvidia(facts)
    if facts.has_amd_gpu:
        return _amd(facts)
    return _cpu(facts, "no GPU that PyTorch can use was found")


def _cpu(facts: Facts, why: str, advice: str = "") -> TorchChoice:
    # On macOS the plain package is the CPU build; on Linux it would bring gigabytes of CUDA.
    on_index = facts.system in ("Linux", "Windows") and facts.machine in _X86 + _ARM
    return TorchChoice(
        "cpu", CPU_TAGS if on_index else (), why, advice or "Without a GPU only small models are practical."
    )


def _apple(facts: Facts) -> TorchChoice:
    if facts.machine in _ARM:
        return TorchChoice("apple", (), "Apple silicon: the plain package computes on its GPU")
    return TorchChoice(
        "cpu",
        (),
        "an Intel Mac",
        f"PyTorch {TORCH_VERSION} is not built for Intel Macs; use Linux, Windows or Apple silicon.",
    )


def _nvidia(facts: Facts) -> TorchChoice:
    assert facts.nvidia_driver is not None
    driver = ".".join(str(part) for part in facts.nvidia_driver)
    tags = _cuda_tags(facts)
    if tags and facts.machine in _X86 + _ARM:
        return TorchChoice("cuda", tags, f"an NVIDIA GPU with driver {driver}", needs_gigabytes=12.0)
    if facts.compute_capability and facts.compute_capability < (5, 0):
        return _cpu(
            facts, "the NVIDIA GPU is older than PyTorch supports", "A GPU of the GTX 900 series or newer is needed."
        )
    return _cpu(
        facts,
        f"the NVIDIA driver {driver} is too old for PyTorch {TORCH_VERSION}",
        "Update the NVIDIA driver to 580 or newer and run this command again to use the GPU.",
    )


def _cuda_tags(facts: Facts) -> tuple[str, ...]:
    """Builds that this driver and GPU can run, best first."""
    driver = facts.nvidia_driver or (9999, 0)
    capability = facts.compute_capability
    return tuple(
        build.tag
        for build in CUDA_BUILDS
        if driver >= build.lowest_driver
        and (capability is None or build.lowest_capability <= capability <= build.highest_capability)
    )


def _amd(facts: Facts) -> TorchChoice:
    if facts.system == "Linux" and facts.machine in _X86:
        return TorchChoice("rocm", ROCM_TAGS, "an AMD GPU with ROCm's driver", needs_gigabytes=20.0)
    return _cpu(
        facts, "an AMD GPU, for which PyTorch has builds on Linux only", "Use Linux with ROCm to train on this GPU."
    )
