"""Models: looking, what is here, a search, a gated model, a download on its way, the Hub out of reach, the picker."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QAbstractButton

from studio.gui.models_page.downloads import Progress
from studio.gui.models_page.page import ModelsPage
from studio.gui.models_page.picker import ModelPicker
from studio.models.streamed_copies import copies_dir, sign
from tests.gui.scenes import Scene, Stage
from tests.helpers.hub_server import Hub, serve

_LISTED: list[dict[str, Any]] = [
    {
        "id": name,
        "gated": gated,
        "downloads": downloads,
        "likes": 1,
        "pipeline_tag": "text-generation",
        "tags": [f"license:{licence}"],
        "safetensors": {"parameters": {"BF16": weights}, "total": weights},
    }
    for name, gated, downloads, licence, weights in (
        ("Qwen/Qwen3-4B-Instruct", False, 1_840_000, "apache-2.0", 4_022_000_000),
        ("Qwen/Qwen3-8B-Instruct", False, 920_000, "apache-2.0", 8_190_000_000),
        ("meta-llama/Llama-3.2-3B-Instruct", "manual", 2_310_000, "llama3.2", 3_213_000_000),
        ("HuggingFaceTB/SmolLM2-1.7B-Instruct", False, 210_000, "apache-2.0", 1_711_000_000),
    )
]


def _cache(stage: Stage) -> None:
    """A cache with a complete model and an unfinished download."""
    cache = stage.home / "hub"
    os.environ["HF_HUB_CACHE"] = str(cache)
    _write_model(cache / "models--HuggingFaceTB--SmolLM2-135M-Instruct" / "snapshots" / ("a" * 40))
    blobs = cache / "models--Qwen--Qwen3-0.6B" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "x.tunesmith.part").write_bytes(bytes(2_400_000))
    copy = copies_dir() / f"{'b' * 24}-frozen-nf4-bfloat16"
    copy.mkdir(parents=True, exist_ok=True)
    (copy / "layer-000.bin").write_bytes(bytes(3_200_000))
    (copy / "store.json").write_text("{}")
    sign(copy, "HuggingFaceTB/SmolLM2-135M-Instruct")


def _write_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "BF16", "shape": [1000, 900], "data_offsets": [0, 1_800_000]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(1_800_000))
    config = {"architectures": ["LlamaForCausalLM"], "hidden_size": 576, "max_position_embeddings": 8192}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")


def _page(stage: Stage) -> ModelsPage:
    _cache(stage)
    stage.window.show_page("models")
    found = stage.window.findChild(ModelsPage)
    assert isinstance(found, ModelsPage)
    return found


def _empty(stage: Stage) -> None:
    page = _page(stage)
    stage.pump(lambda: page.local.states.state() == "full")


def _search(stage: Stage, page: ModelsPage, url: str) -> None:
    import huggingface_hub.constants

    huggingface_hub.constants.HF_HUB_OFFLINE = False
    os.environ.update({"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": url})
    page.hub.field.setText("instruct")
    page.hub.search_now()
    stage.pump(lambda: page.hub.states.state() not in ("busy", "empty"))
    os.environ.update({"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": ""})


def _full(stage: Stage) -> None:
    page = _page(stage)
    with serve(Hub("org/none", {}, listed=_LISTED)) as hub:
        _search(stage, page, hub.url)
    far = Progress(done=1.21e9, total=8.06e9, speed=34e6)
    page.hub.downloads.progress["Qwen/Qwen3-4B-Instruct"] = far
    page.hub.downloads.changed.emit("Qwen/Qwen3-4B-Instruct")


def _error(stage: Stage) -> None:
    _search(stage, _page(stage), "http://127.0.0.1:9")


def _busy(stage: Stage) -> None:
    page = _page(stage)
    page.hub.states.show_state("busy")
    page.local.states.show_state("busy")
    stage.pump(lambda: bool(page.local.models))
    page.local.states.show_state("busy")


def _picker(stage: Stage) -> None:
    _cache(stage)
    dialog = ModelPicker(stage.context, stage.window)
    dialog.open()
    stage.pump(lambda: dialog.local.states.state() == "full")


def _delete_copy(stage: Stage) -> None:
    page = stage.window.findChild(ModelsPage)
    assert isinstance(page, ModelsPage)
    buttons = page.local.findChildren(QAbstractButton)
    next(button for button in buttons if button.accessibleName().startswith("Delete the streamed copy")).click()


SCENES = [
    Scene("empty", _empty),
    Scene("busy", _busy),
    Scene("error", _error),
    Scene("full", _full),
    Scene("picker", _picker),
    Scene("copy", _empty, asks=_delete_copy),
]
