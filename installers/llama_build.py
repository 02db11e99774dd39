"""How llama.cpp is compiled for this computer: which source archive, which backend, which instruction sets."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

VERSION = "0.3.36"
ARCHIVE = f"llama_cpp_python-{VERSION}.tar.gz"
ARCHIVE_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"

# GGML_NATIVE=OFF with the processor's instruction sets named one by one, and not GGML_NATIVE=ON, for two reasons.
# AMX stays off: with it llama.cpp crashes in the first decode of a quantised file (upstream issue 20824). And the
# wheel's name in the cache says exactly what it needs, so a home folder shared by several computers never hands one a
# wheel with instructions it lacks. The speed is that of -march=native: ggml's kernels are written with intrinsics.
_X86_SETS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("GGML_SSE42", ("sse4_2",)),
    ("GGML_AVX", ("avx",)),
    ("GGML_F16C", ("f16c",)),
    ("GGML_FMA", ("fma",)),
    ("GGML_BMI2", ("bmi2",)),
    ("GGML_AVX2", ("avx2",)),
    ("GGML_AVX_VNNI", ("avx_vnni",)),
    ("GGML_AVX512", ("avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw")),
    ("GGML_AVX512_VBMI", ("avx512_vbmi", "avx512f")),
    ("GGML_AVX512_VNNI", ("avx512_vnni", "avx512f")),
    ("GGML_AVX512_BF16", ("avx512_bf16", "avx512f")),
)
_BACKEND_OPTIONS: dict[str, tuple[str, ...]] = {
    "cpu": (),
    "cuda": ("-DGGML_CUDA=ON",),
    "rocm": ("-DGGML_HIP=ON",),
    "vulkan": ("-DGGML_VULKAN=ON",),
    "metal": (),  # the archive's CMakeLists switches Metal on for Apple by itself
}


@dataclass(frozen=True)
class Build:
    """One way to compile the archive; `key` names its place in the cache."""

    backend: str
    options: tuple[str, ...]

    @property
    def key(self) -> str:
        # The wheel is tagged py3-none: it holds no CPython extension, so one serves every Python.
        digest = hashlib.sha256("\n".join((ARCHIVE_SHA256, _processor(), *self.options)).encode()).hexdigest()[:10]
        system, machine = platform.system().lower(), platform.machine().lower()
        return f"llama_cpp_python-{VERSION}-{system}-{machine}-{self.backend}-{digest}"


def choose_build(
    torch_backend: str, wanted: str = "auto", *, has_nvcc: bool | None = None, flags: str | None = None
) -> Build:
    """How to compile for this computer: the GPU's backend where its compiler is there, else the CPU's."""
    nvcc = bool(shutil.which("nvcc")) if has_nvcc is None else has_nvcc
    if wanted == "auto":
        wanted = {"apple": "metal", "cuda": "cuda" if nvcc else "cpu"}.get(torch_backend, "cpu")
    base = ("-DLLAVA_BUILD=OFF", "-DLLAMA_OPENSSL=OFF")
    return Build(wanted, base + _BACKEND_OPTIONS[wanted] + _processor_options(cpu_flags() if flags is None else flags))


def cpu_flags() -> str:
    """The processor's flags where the system lists them (Linux on x86), else empty."""
    return _cpuinfo("flags") if platform.machine().lower() in ("x86_64", "amd64") else ""


def _cpuinfo(field: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    match = re.search(rf"^{field}\s*:(.*)$", text, re.MULTILINE)
    return match[1].strip() if match else ""


def _processor_options(flags: str) -> tuple[str, ...]:
    """Named instruction sets on Linux/x86; elsewhere the compiler's own detection, which has no AMX to get wrong."""
    if not flags:
        return ()
    have = set(flags.split())
    named = tuple(f"-D{option}={'ON' if have.issuperset(needed) else 'OFF'}" for option, needed in _X86_SETS)
    return ("-DGGML_NATIVE=OFF", *named)


def _processor() -> str:
    """Part of the key where the compiler detects the instruction sets: what the system says of the processor."""
    return "" if cpu_flags() else _cpuinfo("Features") or platform.processor()
