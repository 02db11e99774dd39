"""What an export would take, and what was exported so far: in figures, without loading anything heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from studio.export.exports import list_exports
from studio.export.forecast import survey
from studio.export.quant_types import TYPES
from studio.models.source import starter_model
from studio.project.tuned import find_tuned


def test_all_targets_and_types_of_a_model(tmp_path: Path) -> None:
    found = survey(find_tuned(str(starter_model())), tmp_path / "not" / "there yet")
    assert set(found.types) == set(TYPES) and found.types["F32"] > found.types["F16"] > found.types["Q4_K_M"] > 0
    assert found.targets["gguf"].num_bytes == found.types["Q4_K_M"]
    assert found.targets["merged"].num_bytes > 0 and not found.targets["merged"].problem
    assert "no adapter" in found.targets["adapter"].problem
    assert 0 < found.disk_free <= found.disk_total
    assert not (tmp_path / "not").exists()


def test_the_window_may_ask_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from studio.export.forecast import survey;"
        "from studio.project.tuned import find_tuned; survey(find_tuned('starter'), Path('.'));"
        "from studio.export.exports import list_exports; list_exports(Path('.'));"
        "print([name for name in ('torch', 'transformers', 'pandas', 'llama_cpp', 'gguf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exports_are_listed_newest_first_with_their_reports(tmp_path: Path) -> None:
    assert list_exports(tmp_path / "none") == []
    good, bad = tmp_path / "a-Q8_0.gguf", tmp_path / "a-Q2_K.failed-check.gguf"
    good.write_bytes(b"GGUF" * 10)
    bad.write_bytes(b"GGUF")
    (tmp_path / "a-Q8_0.report.json").write_text(json.dumps({"passed": True, "agreement": 0.98}))
    (tmp_path / "a-Q2_K.failed-check.report.json").write_text("{")
    (tmp_path / ".a.part").write_bytes(b"x")
    merged = tmp_path / "a-merged"
    merged.mkdir()
    (merged / "model.safetensors").write_bytes(b"12345")
    (tmp_path / "other").mkdir()
    adapters = [tmp_path / f"run-adapter{end}" for end in (".gguf", ".failed-check.gguf")]
    for adapter in adapters:
        adapter.write_bytes(b"GGUF")
    found = {exported.path.name: exported for exported in list_exports(tmp_path)}
    assert set(found) == {good.name, bad.name, merged.name, *(adapter.name for adapter in adapters)}
    assert not any(found[adapter.name].can_chat for adapter in adapters) and found[bad.name].can_chat
    assert found[good.name].report == {"passed": True, "agreement": 0.98} and found[good.name].num_bytes == 40
    assert found[good.name].can_chat and not found[good.name].has_failed
    assert found[bad.name].has_failed and found[bad.name].report is None
    assert found[merged.name].num_bytes == 5 and not found[merged.name].can_chat
