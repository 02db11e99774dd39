"""Builds llama-cpp-python from its source archive once and keeps the wheel, keyed by all that makes it different."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from installers.failures import SetupError
from installers.places import Places
from installers.runner import Runner, clean_environment

VERSION = "0.3.36"
ARCHIVE = f"llama_cpp_python-{VERSION}.tar.gz"
ARCHIVE_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
_GIGABYTES_A_COMPILER = 1.5

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


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_wheel(places: Places, build: Build) -> Path | None:
    """The finished wheel, None when there is none or its bytes are not what was written."""
    folder = places.wheels / build.key
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        wheel = folder / Path(str(manifest["file"])).name
        return wheel if wheel.stat().st_size == manifest["size"] and sha256_of(wheel) == manifest["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store_wheel(places: Places, build: Build, wheel: Path) -> Path:
    """Put a finished wheel into the cache: written beside, then renamed, so that what exists is complete."""
    places.wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=places.wheels, ignore_cleanup_errors=True) as name:
        part = Path(name) / "content"
        part.mkdir()
        shutil.copy2(wheel, part / wheel.name)
        manifest = {
            "file": wheel.name,
            "size": wheel.stat().st_size,
            "sha256": sha256_of(wheel),
            "options": build.options,
        }
        (part / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        target = places.wheels / build.key
        if target.exists():
            os.replace(target, Path(name) / "damaged")
        os.replace(part, target)
    return target / wheel.name


def build_wheel(
    places: Places, build: Build, archive: Path, runner: Runner, pip: list[str], sources: list[str]
) -> Path:
    """Compile the archive and keep the wheel; `sources` are pip options that say where the build tools come from."""
    problem = compiler_problem()
    if problem:
        raise problem
    with tempfile.TemporaryDirectory(prefix="tunesmith-build-", ignore_cleanup_errors=True) as name:
        env = clean_environment(
            CMAKE_ARGS=" ".join((*build.options, *_without_common(name))),
            CMAKE_BUILD_PARALLEL_LEVEL=str(num_compilers()),
        )
        pins = ["--build-constraint", str(places.constraints)]
        wheel = [*pip, "wheel", "-v", "--no-deps", "--no-cache-dir", *pins, *sources, "-w", name, str(archive)]
        runner.run(wheel, "compile llama.cpp", env=env)
        wheels = list(Path(name).glob("llama_cpp_python-*.whl"))
        if len(wheels) != 1:
            raise SetupError("The build of llama-cpp-python made no wheel.", "Run the same command again.")
        return store_wheel(places, build, wheels[0])


def _without_common(folder: str) -> tuple[str, ...]:
    """The option that reads llama.cmake. CMAKE_ARGS is split at spaces, so it is left out where a path has one."""
    target = Path(folder) / "llama.cmake"
    shutil.copy2(Path(__file__).with_name("llama.cmake"), target)
    return () if " " in str(target) else (f"-DCMAKE_PROJECT_llama_cpp_INCLUDE={target.as_posix()}",)


def num_compilers() -> int:
    """One a core, fewer where the memory would not hold them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        memory = cores * _GIGABYTES_A_COMPILER
    return max(1, min(cores, int(memory / _GIGABYTES_A_COMPILER)))


def fetch_archive(places: Places, runner: Runner, pip: list[str]) -> Path:
    """The source archive, from the cache or the configured package index, checked against its known sum."""
    target = places.archives / ARCHIVE
    if target.is_file() and sha256_of(target) == ARCHIVE_SHA256:
        return target
    places.archives.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=places.archives, ignore_cleanup_errors=True) as name:
        command = [*pip, "download", "--no-deps", "--no-binary", "llama-cpp-python", "--progress-bar", "raw"]
        runner.run([*command, "-d", name, f"llama-cpp-python=={VERSION}"], "fetch llama.cpp")
        return adopt_archive(places, Path(name) / ARCHIVE)


def adopt_archive(places: Places, archive: Path) -> Path:
    """Check an archive and move or copy it to its place in the cache."""
    if not archive.is_file() or sha256_of(archive) != ARCHIVE_SHA256:
        raise SetupError(
            f"The source archive {ARCHIVE} is damaged or not the one this version was tested with.",
            "Run the same command again; if it stays so, your package index serves another file: try another index.",
        )
    places.archives.mkdir(parents=True, exist_ok=True)
    part = places.archives / f".{ARCHIVE}.{os.getpid()}.part"
    shutil.copy2(archive, part)
    os.replace(part, places.archives / ARCHIVE)
    return places.archives / ARCHIVE


def compiler_problem() -> SetupError | None:
    """None when a C and a C++ compiler are there, else what to install. CMake and Ninja come from the package index."""
    if platform.system() == "Windows":
        found = bool(shutil.which("cl")) or _has_visual_studio()
    else:
        c_compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
        cpp_compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
        found = bool(c_compiler and cpp_compiler)
    if found:
        return None
    return SetupError("llama.cpp must be compiled once, and no C and C++ compiler was found.", compiler_fix())


def _has_visual_studio() -> bool:
    """CMake finds Visual Studio by itself when the C++ workload is there; `vswhere` is how one asks."""
    for variable in ("ProgramFiles(x86)", "ProgramFiles"):
        tool = Path(os.environ.get(variable, "")) / "Microsoft Visual Studio" / "Installer" / "vswhere.exe"
        if tool.is_file():
            from installers.facts import output_of

            needed = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
            return bool(
                output_of([str(tool), "-products", "*", "-requires", needed, "-property", "installationPath"]).strip()
            )
    return False


def compiler_fix(system: str | None = None) -> str:
    """What to install, for this system."""
    system = system or platform.system()
    if system == "Windows":
        return (
            'Install "Build Tools for Visual Studio" with the workload "Desktop development with C++" '
            "(winget install Microsoft.VisualStudio.2022.BuildTools), then run the same command again."
        )
    if system == "Darwin":
        return "Run: xcode-select --install. Then run the same command again."
    return (
        "Debian, Ubuntu: sudo apt install build-essential; Fedora: sudo dnf install gcc gcc-c++ make; "
        "Arch: sudo pacman -S base-devel; openSUSE: sudo zypper install gcc gcc-c++ make. Then run the same command "
        "again."
    )
