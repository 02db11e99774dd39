"""Is there a C and C++ compiler, what to install if not, and how many of it may run at once."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from installers.facts import output_of
from installers.failures import SetupError

_GIGABYTES_A_COMPILER = 1.5


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


def num_compilers() -> int:
    """One a core, fewer where the memory would not hold them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        memory = cores * _GIGABYTES_A_COMPILER
    return max(1, min(cores, int(memory / _GIGABYTES_A_COMPILER)))
