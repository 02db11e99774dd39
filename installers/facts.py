"""Finds out what this computer has. Every probe answers in seconds or is counted as absent."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from installers.torch_choice import PYTORCH_INDEX, TORCH_VERSION, Facts, TorchChoice

_KFD = Path("/sys/class/kfd/kfd/topology/nodes")


def find_facts() -> Facts:
    """System, GPU and driver of this computer."""
    driver, capability = _nvidia()
    return Facts(
        system=platform.system(),
        machine=platform.machine().lower(),
        nvidia_driver=driver,
        compute_capability=capability,
        has_amd_gpu=_has_amd_gpu(),
    )


def parse_nvidia(text: str) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Driver and newest compute capability from `nvidia-smi --query-gpu=driver_version,compute_cap` (a line a GPU)."""
    rows = [re.findall(r"\d+", line) for line in text.splitlines() if re.match(r"\s*\d+\.\d+", line)]
    if not rows:
        return None, None
    driver = (int(rows[0][0]), int(rows[0][1]))
    capabilities = []
    for line in text.splitlines():
        match = re.match(r"\s*\d+\.\d+[\d.]*\s*,\s*(\d+)\.(\d+)", line)
        if match:
            capabilities.append((int(match[1]), int(match[2])))
    return driver, max(capabilities, default=None)


def _nvidia() -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    tool = shutil.which("nvidia-smi") or _first_existing(
        Path(os.environ.get("SYSTEMROOT", "C:\\Windows")) / "System32" / "nvidia-smi.exe",
        Path("/usr/lib/wsl/lib/nvidia-smi"),
    )
    if not tool:
        return None, None
    # Drivers before 470 do not know compute_cap and refuse the whole query.
    for fields in ("driver_version,compute_cap", "driver_version"):
        answer = output_of([tool, f"--query-gpu={fields}", "--format=csv,noheader"])
        if answer:
            return parse_nvidia(answer)
    return None, None


def _has_amd_gpu() -> bool:
    """ROCm's kernel driver lists one node a processor; a node with SIMD units is a GPU."""
    if _KFD.is_dir():
        return any(has_simd_units(node) for node in sorted(_KFD.glob("*/properties")))
    answer = output_of(["rocminfo"]) if shutil.which("rocminfo") else ""
    return bool(re.search(r"Device Type:\s+GPU", answer))


def has_simd_units(properties: Path) -> bool:
    """Whether one node of the ROCm driver's topology is a GPU."""
    try:
        match = re.search(r"^simd_count (\d+)", properties.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return False
    return bool(match) and int(match[1]) > 0 if match else False


def output_of(command: list[str], seconds: float = 10) -> str:
    """A short command's output, empty when it is missing, fails or hangs."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _first_existing(*paths: Path) -> str | None:
    return next((str(path) for path in paths if path.is_file()), None)


def reachable_tag(choice: TorchChoice, seconds: float = 3) -> str | None:
    """The first of the choice's builds that PyTorch's own index offers, None when it cannot be reached in time."""
    for tag in choice.tags:
        page = _read(f"{PYTORCH_INDEX}{tag}/torch/", seconds)
        if page is None:
            return None
        if re.search(re.escape(TORCH_VERSION) + r"(%2B|\+)" + re.escape(tag) + r"\b", page):
            return tag
    return None


def _read(address: str, seconds: float) -> str | None:
    """A page's text; empty when the server says it has none, None when there is no server."""
    try:
        with urllib.request.urlopen(address, timeout=seconds) as answer:
            return str(answer.read(4_000_000), "utf-8", "replace")
    except urllib.error.HTTPError as error:
        return "" if error.code in (403, 404) else None
    except (OSError, ValueError):
        return None
