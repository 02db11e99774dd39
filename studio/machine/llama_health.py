"""Whether llama.cpp decodes on this processor, found out in a child process and remembered.

With AMX some builds of llama.cpp crash in the first decode of a quantised file (llama.cpp issue 20824), and a crash
cannot be caught: so a child tries. Whoever loads llama.cpp calls `prepare` first; it keeps the setting that worked.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from studio import paths

_SECONDS = 60.0
_FILE = "llama-health.json"


@dataclass(frozen=True, slots=True)
class LlamaHealth:
    """The outcome of a trial decode.

    Attributes:
        works: False when llama.cpp crashes whatever the setting.
        use_extra_bufts: the value `llama_model_params.use_extra_bufts` must have: repacked weights, or not.
        detail: one sentence for the person.
    """

    works: bool
    use_extra_bufts: bool
    detail: str


def remembered() -> LlamaHealth | None:
    """The last trial of this llama.cpp build on this processor, None when there was none."""
    try:
        return LlamaHealth(**json.loads(_path().read_text(encoding="utf-8"))[_key()])
    except (OSError, ValueError, KeyError, TypeError, metadata.PackageNotFoundError):
        return None


def probe(*, seconds: float = _SECONDS) -> LlamaHealth:
    """Try in child processes, with repacked weights and, should that crash, without; remember what works."""
    first = _trial("with", seconds)
    if not first:
        health = LlamaHealth(True, True, "decodes quantised files")
    elif not (second := _trial("without", seconds)):
        health = LlamaHealth(True, False, f"decodes quantised files with repacked weights off ({first} with them)")
    else:
        health = LlamaHealth(False, False, f"cannot decode a quantised file: {second}")
    if health.works:
        _remember(health)
    return health


def ensure() -> LlamaHealth:
    """What is remembered, else the outcome of a trial (about two seconds)."""
    return remembered() or probe()


def prepare(health: LlamaHealth | None = None) -> None:
    """Make every model that this process loads use the setting that works here. `Llama` has no argument for it."""
    import llama_cpp  # heavy
    import llama_cpp.llama_cpp as bindings

    found = health or ensure()
    original = bindings.llama_model_default_params

    def llama_model_default_params() -> Any:
        params = original()
        params.use_extra_bufts = found.use_extra_bufts
        return params

    if not found.use_extra_bufts:
        bindings.llama_model_default_params = llama_model_default_params
        llama_cpp.llama_model_default_params = llama_model_default_params


def _trial(setting: str, seconds: float) -> str:
    """Empty when the child decoded, else what became of it."""
    command = [sys.executable, "-m", "studio.machine.llama_trial", setting]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            cwd=Path(paths.__file__).resolve().parent.parent,
        )
    except subprocess.TimeoutExpired:
        return f"it hung for {seconds:.0f} s"
    if done.returncode == 0 and done.stdout.strip().endswith("ok"):
        return ""
    return ending(done.returncode, done.stderr)


def ending(code: int, errors: str) -> str:
    """How a child ended, in words: a signal, Windows' access violation, or its last line."""
    if code in (-11, -7, -10, 0xC0000005, 139):
        return "it crashes (segmentation fault)"
    if code in (-4, 0xC000001D, 132):
        return "it crashes (the processor lacks an instruction of this build)"
    if code < 0:
        return f"it is killed by signal {-code}"
    return (errors.strip().splitlines() or [f"it ends with code {code}"])[-1][:200]


def _path() -> Path:
    return paths.config_dir() / _FILE


def _key() -> str:
    """Build and processor: the package's own list of files carries the sum of every library."""
    distribution = metadata.distribution("llama-cpp-python")
    build = hashlib.sha256((distribution.read_text("RECORD") or "").encode()).hexdigest()[:12]
    return f"{distribution.version} {build} on {processor()}"


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()


def _remember(health: LlamaHealth) -> None:
    try:
        known = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    known = known if isinstance(known, dict) else {}
    paths.write_text(_path(), json.dumps({**known, _key(): asdict(health)}, indent=1, sort_keys=True))
