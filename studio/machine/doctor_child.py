"""What the doctor finds out in child processes: everything that loads torch, Qt or the converter.

Prints one JSON line a part, at once, so that a later crash loses nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from studio.machine.doctor import LIBRARIES, REPAIR, Part, converter_dir, converter_part
from studio.machine.gpu_match import judge_gpu

_QT_LIBRARIES = (
    "Debian, Ubuntu: sudo apt install libegl1 libgl1 libxkbcommon-x11-0 libdbus-1-3 libxcb-cursor0; "
    "Fedora: sudo dnf install libglvnd-egl libglvnd-glx libxkbcommon-x11 xcb-util-cursor"
)


def say(part: Part) -> None:
    sys.stdout.write(json.dumps(asdict(part)) + "\n")
    sys.stdout.flush()


def report_torch(*, is_quick: bool) -> None:
    """PyTorch, the device it computes on, whether driver and bitsandbytes fit it, and a 4-bit round trip."""
    import torch  # heavy

    device = find_device(torch)
    product = float(torch.ones(4, 4, device=device).matmul(torch.ones(4, 4, device=device)).sum())
    title = torch.cuda.get_device_name(0) if device == "cuda" else {"mps": "Apple GPU", "cpu": "CPU"}[device]
    say(Part("PyTorch", product == 64.0, f"{torch.__version__} computes on {title}", is_essential=True))
    say(_gpu_match(torch))
    if not is_quick:
        say(_four_bit(torch, device))


def find_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _gpu_match(torch: Any) -> Part:
    package = importlib.util.find_spec("bitsandbytes")
    folder = Path(str(package.origin)).parent if package and package.origin else Path("missing")
    builds = tuple(sorted(path.stem.removeprefix("libbitsandbytes_") for path in folder.glob("libbitsandbytes_*.*")))
    return judge_gpu(
        torch_cuda=torch.version.cuda,
        torch_rocm=getattr(torch.version, "hip", None),
        is_available=torch.cuda.is_available(),
        driver=find_driver(),
        builds=builds,
    )


def find_driver() -> tuple[str, str] | None:
    """The NVIDIA driver's version and the newest CUDA it runs, None without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        version, cuda = pynvml.nvmlSystemGetDriverVersion(), pynvml.nvmlSystemGetCudaDriverVersion()
    except pynvml.NVMLError:
        return None
    return str(version), f"{cuda // 1000}.{cuda % 1000 // 10}"


def _four_bit(torch: Any, device: str) -> Part:
    """Quantise to NF4 and back."""
    name = "4-bit quantisation"
    try:
        import bitsandbytes.functional as functional  # heavy
    except Exception as error:  # noqa: BLE001 - whatever its import raises is the report
        return Part(name, False, f"bitsandbytes cannot be imported: {error}", REPAIR, ("bitsandbytes",))
    if device == "mps":
        return Part(name, None, "not on Apple's GPU")
    weights = torch.randn(64, 64, device=device)
    packed, state = functional.quantize_4bit(weights, quant_type="nf4")
    loss = float((functional.dequantize_4bit(packed, state) - weights).abs().mean())
    detail = f"bitsandbytes on {device}, mean error {loss:.3f}"
    # NF4 of a normal distribution loses 0.07; a wrong kernel gives about 0.8.
    return Part(name, True, detail) if loss < 0.2 else Part(name, False, detail, REPAIR, ("bitsandbytes",))


def report_libraries(*, is_quick: bool) -> None:
    """Import each and tell its version."""
    for name in LIBRARIES:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever its import raises is the report
            say(Part(name, False, f"cannot be imported: {error}", REPAIR, (name,), True))
            continue
        say(Part(name, True, metadata.version(module.__name__), is_essential=True))


def report_converter(*, is_quick: bool) -> None:
    """Its files, then its import: it must find the architectures it knows."""
    part = converter_part()
    if part.works:
        sys.path[:0] = [str(converter_dir()), str(converter_dir() / "gguf-py")]
        try:
            importlib.import_module("conversion")
        except Exception as error:  # noqa: BLE001 - whatever its import raises is the report
            part = Part(part.name, False, f"cannot be imported: {error}", REPAIR)
    say(part)


def report_window(*, is_quick: bool) -> None:
    """Qt draws into memory, and knows the system's fonts; with an X display its own library must be there too."""
    os.environ["QT_QPA_PLATFORM"] = os.environ.get("QT_QPA_PLATFORM") or "offscreen"  # set to nothing, Qt aborts
    try:
        from PySide6 import __version__
        from PySide6.QtGui import QFontDatabase
        from PySide6.QtWidgets import QApplication
    except ImportError as error:
        is_system = ".so" in str(error)
        fix, packages = (_QT_LIBRARIES, ()) if is_system else (REPAIR, ("pyside6-essentials", "shiboken6"))
        say(Part("window", False, f"Qt cannot be loaded: {error}", fix, packages))
        return
    application = QApplication([])
    num_fonts = len(QFontDatabase.families())
    missing = _missing_x_library()
    if missing:
        say(Part("window", False, f"Qt needs {missing} to show a window here", _QT_LIBRARIES))
    else:
        say(Part("window", True, f"Qt {__version__}, {num_fonts} font families of the system"))
    application.quit()


def _missing_x_library() -> str:
    """Qt 6.5 and later end the process without this one when they open an X display."""
    import ctypes

    if not os.environ.get("DISPLAY") or not sys.platform.startswith("linux"):
        return ""
    try:
        ctypes.CDLL("libxcb-cursor.so.0")
    except OSError:
        return "libxcb-cursor0"
    return ""


_JOBS: dict[str, Callable[..., None]] = {
    "torch": report_torch,
    "libraries": report_libraries,
    "converter": report_converter,
    "window": report_window,
}


if __name__ == "__main__":
    _JOBS[sys.argv[1]](is_quick="--quick" in sys.argv[2:])
