"""Export jobs as a person meets them: files, reports, cancelling, refusals; then talking to what was exported."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import peft
import pytest
from safetensors.torch import load_file

from studio.errors import Cancelled, UserError
from studio.export.exporting import make_output, plan_outputs
from studio.export.merge import open_tensors
from studio.export.quant_types import parse_types
from studio.export.target import TARGETS, Watch
from studio.export.targets import gguf_adapter
from studio.models.on_disk import folder_bytes
from studio.project.jobs import JobProcess
from studio.project.tuned import Tuned, find_tuned
from studio.protocol import commands, events
from studio.worker.job import Context
from studio.worker.jobs import export
from tests.helpers.small_run import make_run, train_here
from tests.helpers.toy_adapters import make_adapter, merge_with_peft
from tests.helpers.toy_models import make_toy

SPREAD = {"initializer_range": 0.3, "dtype": "bfloat16"}  # probabilities far from even, as a trained model has them


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("model") / "toy", "llama", **SPREAD)


@pytest.fixture(scope="module")
def adapter(base: Path) -> Path:
    return make_adapter(base, base.parent / "adapter", peft.LoraConfig(r=4, target_modules="all-linear"))


@pytest.mark.slow
def test_several_types_in_one_go_are_written_checked_and_reported(base: Path, adapter: Path, tmp_path: Path) -> None:
    arguments = {"source": str(adapter), "to": "gguf", "quant": "F16,q8_0", "out": str(tmp_path)}
    seen: list[events.Event] = []
    with JobProcess("export", arguments) as job:
        seen.extend(job)
    files = next(e.value["files"] for e in seen if isinstance(e, events.Result) and "files" in e.value)
    assert [Path(file["path"]).name for file in files] == ["adapter-F16.gguf", "adapter-Q8_0.gguf"]
    for file in files:
        report = json.loads(Path(file["report"]["path"]).read_text())
        assert report["passed"] and report["has_equal_tokens"] and report["positions"] > 50, report
        assert report["question"] and report["answer"], "the file has answered a question"
    assert report["mean_kl"] < 0.01
    tensors = [e.value["tensors"] for e in seen if isinstance(e, events.Result) and "tensors" in e.value]
    assert len(tensors) == 2 and [name for name, _ in tensors[0]] == [name for name, _ in tensors[1]]
    told = [e.detail for e in seen if isinstance(e, events.Phase) and e.unit == "bytes" and e.detail]
    assert told == [name for file in tensors for name, _ in file], "every tensor in the order of the file"
    progress = [e for e in seen if isinstance(e, events.Phase) and e.name == "Writing adapter-F16.gguf"]
    assert progress[-1].done == progress[-1].total > 0 and progress[-1].unit == "bytes"
    modelfile = (tmp_path / "adapter-Q8_0.Modelfile").read_text()
    assert "FROM ./adapter-Q8_0.gguf" in modelfile and 'PARAMETER stop "<|im_end|>"' in modelfile
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


@pytest.mark.slow
def test_a_file_that_is_not_the_tuned_model_fails_its_check_and_is_set_aside(base: Path, tmp_path: Path) -> None:
    """The file is made of one model and checked against another, as a broken merge would be."""
    from studio.export import verify
    from studio.models.tokenizer import ChatTokenizer
    from studio.worker.export_check import Reference, _row

    other = make_toy(tmp_path / "other", "llama", seed=9, **SPREAD)
    file = _export(Tuned("other", other, "other", None), "gguf", "F16", tmp_path)
    tokenizer, reference = ChatTokenizer.load(base), Reference.open(Tuned("toy", base, "toy", None))
    assert reference is not None
    rows = [_row(tokenizer, tokenizer.encode("What is the capital of France?"), None)]
    report = verify.verify(file, parse_types("F16")[0], rows, reference.logits)
    assert not report.passed and report.has_equal_tokens and report.agreement < 0.5
    aside = verify.set_aside(file)
    assert aside.name == "other-F16.failed-check.gguf" and aside.is_file() and not file.exists()
    file.write_bytes(b"GGUF" + b"\0" * 100)
    damaged = verify.verify(file, parse_types("F16")[0], rows, reference.logits)
    assert not damaged.passed and damaged.positions == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "qwen3_moe"])
def test_a_checkpoint_of_a_streamed_run(family: str, tmp_path: Path) -> None:
    """Its numbers come straight out of the store, and what describes them is the base's."""
    run = make_run(tmp_path, method={"key": "ssd_offload", "cache_gb": 0}, family=family, steps=4)
    train_here(run)
    with JobProcess("export", {"source": str(run.folder), "checkpoint": 4, "to": "gguf", "quant": "Q8_0"}) as job:
        results = [event.value for event in job if isinstance(event, events.Result)]
    (file,) = next(value["files"] for value in results if "files" in value)
    report = json.loads(Path(file["report"]["path"]).read_text())
    assert report["passed"] and report["has_equal_tokens"] and report["answer"], report
    folder = _export(find_tuned(str(run.folder), checkpoint=4), "merged", "F16", tmp_path / "out")
    merged, result = open_tensors(folder, None), open_tensors(run.result_dir, None)
    assert set(merged.headers) == set(result.headers)
    assert all(merged.load(name).equal(result.load(name)) for name in result.headers)


def test_cancelling_leaves_nothing(base: Path, adapter: Path, tmp_path: Path) -> None:
    tuned = Tuned("tuned", base, "toy", adapter)
    for key in ("gguf", "merged"):
        calls = iter([False, False, True, True])
        with pytest.raises(Cancelled):
            _export(tuned, key, "Q4_K_M", tmp_path / "out", Watch(is_cancelled=lambda calls=calls: next(calls)))
    assert list((tmp_path / "out").iterdir()) == []


def test_merged_folder_is_a_complete_model(base: Path, adapter: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (base / "LICENSE").write_text("Apache-2.0")
    (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Toy\n")
    made = _export(Tuned("tuned", base, "toy", adapter), "merged", "Q8_0", tmp_path / "out")
    theirs = load_file(merge_with_peft(base, adapter, tmp_path / "theirs") / "model.safetensors")
    ours = load_file(made / "model.safetensors")
    assert set(ours) == set(theirs) and all(ours[name].equal(theirs[name]) for name in ours)
    AutoModelForCausalLM.from_pretrained(made)
    assert AutoTokenizer.from_pretrained(made).chat_template
    card = (made / "README.md").read_text()
    assert "license: apache-2.0" in card and "base_model: toy" in card
    assert (made / "LICENSE").is_file() and (made / "generation_config.json").is_file()
    (planned,) = TARGETS.get("merged").plan(Tuned("tuned", base, "toy", adapter), tmp_path, "toy", [])
    assert planned.forecast_bytes == pytest.approx(folder_bytes(made), rel=0.05)


def test_large_models_are_written_in_shards(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr("studio.export.targets.merged.SHARD_BYTES", 100_000)
    made = _export(Tuned("tuned", base, "toy", None), "merged", "Q8_0", tmp_path)
    assert len(list(made.glob("model-*-of-*.safetensors"))) > 1
    again, before = AutoModelForCausalLM.from_pretrained(made), AutoModelForCausalLM.from_pretrained(base)
    assert all(a.equal(b) for a, b in zip(again.state_dict().values(), before.state_dict().values(), strict=True))


def test_adapter_folder_loads_and_holds_no_path(base: Path, adapter: Path, tmp_path: Path) -> None:
    made = _export(Tuned("tuned", base, "toy", adapter), "adapter", "Q8_0", tmp_path)
    assert str(base.parent) not in (made / "adapter_config.json").read_text() + (made / "README.md").read_text()
    assert (made / "tokenizer.json").is_file()
    with pytest.raises(UserError, match="no adapter"):
        _export(Tuned("toy", base, "toy", None), "adapter", "Q8_0", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}])
def test_gguf_adapter_on_the_base_answers_as_the_merged_file(base: Path, tmp_path: Path, settings: Any) -> None:
    import numpy as np

    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], **settings)
    tuned = Tuned("tuned", base, "toy", make_adapter(base, tmp_path / "adapter", config))
    adapter_file = _export(tuned, "gguf_adapter", "F16", tmp_path)
    (forecast,) = gguf_adapter.plan(tuned, tmp_path, "tuned", [])
    assert forecast.forecast_bytes == pytest.approx(adapter_file.stat().st_size, rel=0.02)
    plain = _export(Tuned("plain", base, "toy", None), "gguf", "F32", tmp_path)
    merged = _export(tuned, "gguf", "F32", tmp_path)
    whole, apart, untuned = (
        _last_logits(path, lora) for path, lora in ((merged, None), (plain, adapter_file), (plain, None))
    )
    assert np.abs(whole - apart).max() < 0.1 * np.abs(whole - untuned).max()  # the merged file is rounded to bf16


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_gguf_adapter_is_checked_beside_a_gguf_of_its_base(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:
    """As the tuned model it passes; written with another strength it is put aside."""
    read = gguf_adapter._as_llama_cpp_reads
    monkeypatch.setattr(
        gguf_adapter, "_as_llama_cpp_reads", lambda config: {**read(config), "lora_alpha": scale * config["lora_alpha"]}
    )
    seen: list[events.Event] = []
    export.run(Context(emit=seen.append), {"source": str(adapter), "to": "gguf-adapter", "out": str(tmp_path)})
    (file,) = [event for event in seen if isinstance(event, events.Result)][-1].value["files"]
    assert file["report"]["passed"] == (scale == 1.0), file["report"]["sentence"]
    assert file["report"]["positions"] > 50 and file["report"]["has_equal_tokens"]
    assert Path(file["path"]).name == ("adapter-adapter.gguf" if scale == 1.0 else "adapter-adapter.failed-check.gguf")
    assert len(list(tmp_path.glob("*.gguf"))) == 1 and not list(tmp_path.glob(".*")), "the base's file is gone again"


def test_both_backends_give_the_same_greedy_answer(base: Path, tmp_path: Path) -> None:
    file = _export(Tuned("toy", base, "toy", None), "gguf", "F32", tmp_path)
    talk = [{"role": "user", "content": "What is the capital of France?"}]
    more = [*talk, {"role": "assistant", "content": "Paris."}, {"role": "user", "content": "And of Größe, 東京?"}]
    answers = {source: _ask(source, [talk, more]) for source in (str(file), str(base))}
    assert answers[str(file)] == answers[str(base)]
    assert all(len(text) > 10 for text in answers[str(file)])


def test_the_exact_prompt_is_told_and_the_same_for_both_backends(base: Path, tmp_path: Path) -> None:
    file = _export(Tuned("toy", base, "toy", None), "gguf", "F32", tmp_path)
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Größe, 東京?"}]
    told = [_prompt(source, talk) for source in (str(file), str(base))]
    assert told[0] == told[1]
    assert "Größe, 東京?" in told[0]["prompt"] and told[0]["prompt"].rstrip().endswith("assistant")
    assert told[0]["tokens"] > 10


def test_an_answer_can_be_stopped_and_the_conversation_goes_on(base: Path) -> None:
    with JobProcess("chat", {"source": str(base)}) as job:
        stream = iter(job)
        _until(stream, events.Result)
        say = {"messages": [{"role": "user", "content": "Go on"}], "sampling": {"temperature": 0, "max_tokens": 400}}
        job.tell(commands.Say(turn=1, **say))
        _until(stream, events.Token)
        job.tell(commands.Cancel())
        assert _finish(stream, 1).finish == "cancelled"
        job.tell(commands.Say(turn=2, messages=[{"role": "user", "content": "x " * 2000}]))
        assert "too long" in _until(stream, events.Notice).text
        job.tell(commands.Say(turn=3, messages=say["messages"], sampling={"temperature": 0, "max_tokens": 5}))
        last = _finish(stream, 3)
        assert last.finish == "length" and last.figures["tokens"] == 5
        start = time.monotonic()
    assert time.monotonic() - start < 9, "the worker ends by itself when its input closes; it is killed after ten"


def test_command_line_speaks_plainly_about_wrong_input(base: Path, tmp_path: Path) -> None:
    wrong = {
        ("export", str(base), "--quant", "Q4_K_N"): "Did you mean",
        ("export", str(base), "--quant", "IQ2_XS"): "importance matrix",
        ("export", str(base), "--to", "gguff"): "gguf",
        ("export", str(tmp_path / "nowhere")): "not there",
        ("chat", str(tmp_path / "no.gguf"), "--prompt", "x"): "not there",
        ("chat", str(base), "--top-p", "3", "--prompt", "x"): "--top-p",
    }
    for command, expected in wrong.items():
        done = subprocess.run([sys.executable, "-m", "studio", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and expected in done.stderr, (command, done.stderr)
        assert "Traceback" not in done.stderr


def test_source_can_be_an_adapter_that_names_its_base(base: Path, adapter: Path) -> None:
    found = find_tuned(str(adapter))
    assert (found.base, found.weights, found.name) == (base, adapter, "adapter")
    with pytest.raises(UserError, match="no run"):
        find_tuned(str(base), checkpoint=3)


def _export(tuned: Tuned, key: str, kind: str, folder: Path, watch: Watch | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    target = TARGETS.get(key)
    (output,) = plan_outputs(tuned, target, parse_types(kind), folder)
    make_output(tuned, target, output, watch or Watch())
    return output.path


def _ask(source: str, conversations: list[list[dict[str, str]]]) -> list[str]:
    answers = []
    with JobProcess("chat", {"source": source}) as job:
        stream = iter(job)
        _until(stream, events.Result)
        for turn, messages in enumerate(conversations, start=1):
            job.tell(commands.Say(turn=turn, messages=messages, sampling={"temperature": 0, "max_tokens": 24}))
            answers.append("".join(event.text for event in _tokens(stream, turn)))
    return answers


def _prompt(source: str, messages: list[dict[str, str]]) -> dict[str, Any]:
    with JobProcess("chat", {"source": source}) as job:
        stream = iter(job)
        loaded = _until(stream, events.Result)
        assert loaded.value["context"] > 100 and loaded.value["bytes"] > 1000
        job.tell(commands.Render(messages=messages))
        return dict(_until(stream, events.Result).value)


def _tokens(stream: Any, turn: int) -> Any:
    for event in stream:
        if isinstance(event, events.Token) and event.turn == turn:
            yield event
            if event.finish:
                return


def _finish(stream: Any, turn: int) -> events.Token:
    *_, last = _tokens(stream, turn)
    return last


def _until(stream: Any, kind: type) -> Any:
    return next(event for event in stream if isinstance(event, kind))


def _last_logits(file: Path, lora: Path | None) -> Any:
    """In a child of its own: llama.cpp keeps a file mapped."""
    code = (
        "import sys, json\n"
        "from studio.machine.llama_health import prepare\n"
        "prepare()\n"
        "import llama_cpp\n"
        "options = {'n_ctx': 64, 'logits_all': True, 'verbose': False}\n"
        "model = llama_cpp.Llama(sys.argv[1], lora_path=sys.argv[2] or None, **options)\n"
        "model.eval([5, 60, 70, 80])\n"
        "print(json.dumps(model.scores[3].tolist()))\n"
        "model.close()\n"
    )
    import numpy as np

    command = [sys.executable, "-c", code, str(file), str(lora or "")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.array(json.loads(done.stdout))
