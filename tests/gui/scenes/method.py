"""Method: no rows yet, each step of a draft for a 4-billion-weight model on a 12 GB card, a problem, a short plan."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from studio.gui.forms.form import Form
from studio.gui.method_page.page import MethodPage
from studio.machine.resources import Gpu, Resources
from studio.project.folder import Project
from studio.spec.fresh import fresh_spec
from studio.spec.values import set_values
from studio.spec.wizard import StepKey, Wizard
from tests.gui.samples import STARTER_ROWS, make_starter_project
from tests.gui.scenes import Scene, Stage

_LAYERS, _WIDTH, _INNER, _VOCABULARY = 36, 2560, 9728, 151_936
_CARD = Resources(
    gpus=(Gpu(0, "NVIDIA GeForce RTX 3060", 12_884_901_888, 11_200_000_000, 41.0, 22.0, 170.0, 0.02),),
    ram_total=31_200_000_000,
    ram_free=21_800_000_000,
    disk_total=476_000_000_000,
    disk_free=212_000_000_000,
    cpu_name="AMD Ryzen 5 5600",
    cpu_cores=6,
)


def make_large_model(folder: Path) -> Path:
    """The headers of a 4-billion-weight model; its weights are a hole in the file."""
    folder.mkdir(parents=True)
    shapes = {"model.embed_tokens.weight": [_VOCABULARY, _WIDTH], "model.norm.weight": [_WIDTH]}
    for layer in range(_LAYERS):
        at = f"model.layers.{layer}"
        shapes |= {f"{at}.self_attn.{name}_proj.weight": [4096, _WIDTH] for name in ("q",)}
        shapes |= {f"{at}.self_attn.{name}_proj.weight": [1024, _WIDTH] for name in ("k", "v")}
        shapes |= {f"{at}.self_attn.o_proj.weight": [_WIDTH, 4096]}
        shapes |= {f"{at}.mlp.{name}_proj.weight": [_INNER, _WIDTH] for name in ("gate", "up")}
        shapes |= {f"{at}.mlp.down_proj.weight": [_WIDTH, _INNER], f"{at}.input_layernorm.weight": [_WIDTH]}
        shapes |= {f"{at}.post_attention_layernorm.weight": [_WIDTH]}
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    (folder / "config.json").write_text(json.dumps(_config()))
    return folder


def _config() -> dict[str, object]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": _WIDTH,
        "intermediate_size": _INNER,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": _VOCABULARY,
        "max_position_embeddings": 262_144,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }


def _large(stage: Stage, step: StepKey, *settings: str) -> MethodPage:
    model = make_large_model(stage.home / "Qwen3-4B-Instruct")
    starter = Path(__file__).resolve().parents[3] / "resources" / "starter" / "model"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).write_bytes((starter / name).read_bytes())
    spec = fresh_spec(model=str(model), data=str(STARTER_ROWS), project=stage.home / "Support tone")
    project = Project.create(stage.home / "Support tone", set_values(spec, ["train.precision=bf16", *settings]))
    return _opened(stage, project, step, card=True)


def _opened(stage: Stage, project: Project, step: StepKey, *, card: bool = False) -> MethodPage:
    if card:
        machine = stage.context.machine
        machine.stop()
        stage.settle(300)
        machine.look = lambda: None  # type: ignore[method-assign]
        machine.resources = _CARD
        machine.changed.emit()
    stage.context.session.open(project.folder)
    stage.window.show_page("method")
    page = stage.window.findChild(MethodPage)
    assert isinstance(page, MethodPage)
    stage.pump(lambda: bool(page.forecasts.outlook.by_method))
    stage.settle(700)  # the rows' lengths are sampled, and the figures follow
    page.wizard = Wizard(step, step, page.wizard.overridden)
    page.refresh()
    return page


def _empty(stage: Stage) -> None:
    """A draft whose rows are gone: the way ends at the data."""
    project = make_starter_project(stage.home / "Support tone", "data.path=replies.jsonl")
    stage.context.session.open(project.folder)
    stage.window.show_page("method")


def _step(step: StepKey, *settings: str):  # type: ignore[no-untyped-def]
    return lambda stage: _large(stage, step, *settings)


def _full(stage: Stage) -> None:
    page = _large(stage, "method", "method.key=lisa", "method.train_embeddings=false")
    if page.method.plan.fit.rows:
        page.method.plan.fit.rows[0].check.setChecked(True)


def _busy(stage: Stage) -> None:
    page = _large(stage, "check", "method.key=qlora")
    page.foot.show_starting("Downloading model.safetensors: 1.2 GB of 8.1 GB", 0.15)


def _error(stage: Stage) -> None:
    _large(stage, "check", "method.key=full", "train.warmup=40", "train.steps=20", "train.learning_rate=0.5")


def _unfolded(stage: Stage) -> None:
    page = _large(stage, "method", "method.key=ssd_offload", "train.steps=20")
    for form in page.method.findChildren(Form):
        form.toggle.click()


def _starter(stage: Stage) -> None:
    _opened(stage, make_starter_project(stage.home / "Starter voice"), "method")


SCENES = [
    Scene("empty", _empty),
    Scene("full", _full),
    Scene("busy", _busy),
    Scene("error", _error),
    Scene("goal", _step("goal", "goal.kind=facts", "method.rank=64")),
    Scene("model", _step("model")),
    Scene("data", _step("data")),
    Scene("settings", _step("settings", "method.key=qlora")),
    Scene("streamed", _step("method", "method.key=ssd_offload", "train.steps=2000")),
    Scene("unfolded", _unfolded),
    Scene("starter", _starter),
]
