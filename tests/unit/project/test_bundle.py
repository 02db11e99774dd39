"""Shareable project files: what travels is clean, and what comes from strangers cannot do harm."""

from __future__ import annotations

import getpass
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import UserError
from studio.project.bundle_read import inspect, unpack
from studio.project.bundle_rules import check_path
from studio.project.bundle_write import pack
from studio.project.folder import Project
from studio.project.runs import Run
from studio.protocol import events
from studio.spec.file import parse_spec
from tests.unit.models.test_source import a_model
from tests.unit.project.test_journal import a_hello, a_step
from tests.unit.project.test_runs import say

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project on a local model and rows, with one finished run."""
    model = a_model(tmp_path / "my-models" / "toy")
    (tmp_path / "rows.jsonl").write_text('{"text": "hello"}\n' * 1000)
    spec = parse_spec({"model": {"source": str(model)}, "data": {"path": str(tmp_path / "rows.jsonl")}})
    project = Project.create(tmp_path / "p", spec)
    run = Run.create(project.folder, spec, "first", fingerprints={"model": "m"})
    trace = f"Traceback: {tmp_path}/secret.py"
    say(run, a_hello(), events.Notice(text=f"wrote {tmp_path}"), events.Sample(step=1, prompt="rows", text="rows"))
    say(run, a_step(1, 0.5), events.Failed(kind="bug", message=str(tmp_path), detail=trace))
    run.result_dir.mkdir()
    (run.result_dir / "adapter_model.safetensors").write_bytes(bytes(5000))
    (run.result_dir / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(model)}))
    (run.result_dir / "optimizer.pt").write_bytes(b"pickle")
    return project


def test_a_round_trip_brings_everything_chosen(tmp_path: Path, project: Project) -> None:
    packed = pack(project, tmp_path / "x.tunesmith", include=frozenset({"data", "adapter"}))
    assert inspect(tmp_path / "x.tunesmith") == packed
    unpack(tmp_path / "x.tunesmith", tmp_path / "opened")
    opened = Project.open(tmp_path / "opened")
    spec = opened.absolute(opened.draft())
    assert Path(spec.data.path).read_text() == (tmp_path / "rows.jsonl").read_text()
    run = opened.runs()[0]
    assert run.state().loss == 0.5 and run.fingerprints == {"model": "m"}
    assert (run.weights() / "adapter_model.safetensors").read_bytes() == bytes(5000)
    assert not list(opened.folder.rglob("*.pt"))


def test_nothing_of_this_computer_travels(tmp_path: Path, project: Project) -> None:
    pack(project, tmp_path / "x.tunesmith", include=frozenset({"data", "adapter"}))
    with zipfile.ZipFile(tmp_path / "x.tunesmith") as archive:
        texts = b"\n".join(archive.read(name) for name in archive.namelist())
    assert str(tmp_path).encode() not in texts and str(Path.home()).encode() not in texts
    assert b"Traceback" not in texts and b"my-models" not in texts
    if len(getpass.getuser()) > 4:
        assert getpass.getuser().encode() not in texts
    assert b"toy" in texts


def test_rows_and_weights_stay_unless_chosen(tmp_path: Path, project: Project) -> None:
    packed = pack(project, tmp_path / "x.tunesmith")
    assert {entry.path for entry in packed.files} == {
        "project.yaml",
        "runs/first/run.yaml",
        "runs/first/events.jsonl",
    }
    assert packed.data.fingerprint and not packed.data.is_included


def test_an_old_file_still_opens(tmp_path: Path) -> None:
    manifest = unpack(DATA / "bundle-v1.tunesmith", tmp_path / "opened")
    assert manifest.version == 1
    assert [run.name for run in Project.open(tmp_path / "opened").runs()] == ["first"]


def repack(
    source: Path, change: Callable[[dict[str, bytes]], None], manifest: Callable[[Any], None] | None = None
) -> Path:
    """A copy with changed contents and, unless told otherwise, a manifest that agrees with them."""
    import hashlib

    with zipfile.ZipFile(source) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(files.pop("manifest.json"))
    change(files)
    described["files"] = [
        {"path": name, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()} for name, body in files.items()
    ]
    if manifest is not None:
        manifest(described)
    target = source.with_name("changed.tunesmith")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in {**files, "manifest.json": json.dumps(described).encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), body, zipfile.ZIP_DEFLATED)
    return target


def refused(source: Path, tmp_path: Path, words: str = ".") -> None:
    """Opening says a sentence and leaves nothing behind."""
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=words):
        unpack(source, tmp_path / "opened")
    assert set(tmp_path.rglob("*")) == before


HOSTILE_NAMES = [
    "../evil.json", "/etc/evil.json", "data/../../evil.json", "C:/evil.json", "data\\..\\evil.json", "data/nul.json",
    "data/con", "data/evil.py", "data/model.pkl", "data/x.bin", "evil.json", "data/a.json ", "data/a.", "data//a.json",
    "runs/./x.json", "data/tab\t.json", "data/\u202egnp.json", "data/a:b.json", "data/" + "x" * 300 + ".json", "data/",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, project: Project, name: str) -> None:
    pack(project, tmp_path / "x.tunesmith")
    refused(repack(tmp_path / "x.tunesmith", lambda files: files.update({name: b"{}"})), tmp_path)


def test_a_name_cut_by_a_null_byte_is_refused(tmp_path: Path, project: Project) -> None:
    pack(project, tmp_path / "x.tunesmith")
    changed = repack(tmp_path / "x.tunesmith", lambda files: files.update({"data/abXpy.json": b"{}"}))
    changed.write_bytes(changed.read_bytes().replace(b"data/abXpy", b"data/ab\0py"))
    refused(changed, tmp_path)


@pytest.mark.parametrize("pair", [("data/a.json", "data/A.json"), ("data/a.json", "data/a.json/b.json")])
def test_names_that_clash_are_refused(tmp_path: Path, project: Project, pair: tuple[str, str]) -> None:
    pack(project, tmp_path / "x.tunesmith")
    refused(repack(tmp_path / "x.tunesmith", lambda files: files.update(dict.fromkeys(pair, b"{}"))), tmp_path)


def test_the_same_name_twice_is_refused(tmp_path: Path, project: Project) -> None:
    pack(project, tmp_path / "x.tunesmith")
    with zipfile.ZipFile(tmp_path / "x.tunesmith", "a") as archive, pytest.warns(UserWarning):
        archive.writestr("project.yaml", "version: 1")
    refused(tmp_path / "x.tunesmith", tmp_path, "twice")


def test_links_are_refused(tmp_path: Path, project: Project) -> None:
    pack(project, tmp_path / "x.tunesmith")
    link = zipfile.ZipInfo("data/link.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.tunesmith", "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(tmp_path / "x.tunesmith", tmp_path, "plain files")


def test_a_bomb_is_refused_before_it_unfolds(tmp_path: Path, project: Project) -> None:
    pack(project, tmp_path / "x.tunesmith")
    changed = repack(tmp_path / "x.tunesmith", lambda files: files.update({"data/zeros.txt": bytes(250_000_000)}))
    assert changed.stat().st_size < 1_000_000
    refused(changed, tmp_path, "far beyond its size")


def test_a_size_that_lies_is_noticed(tmp_path: Path, project: Project) -> None:
    pack(project, tmp_path / "x.tunesmith")
    changed = repack(tmp_path / "x.tunesmith", lambda files: files.update({"data/long.txt": b"x" * 70_000}))
    lie = (69_999).to_bytes(4, "little")
    content = changed.read_bytes().replace((70_000).to_bytes(4, "little"), lie)
    changed.write_bytes(content.replace(b"70000", b"69999"))
    refused(changed, tmp_path)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (lambda m: m["files"][0].update(sha256="0" * 64), "checksum"),
        (lambda m: m["files"].pop(), "differ"),
        (lambda m: m["files"].append({"path": "data/none.json", "bytes": 1, "sha256": ""}), "differ"),
        (lambda m: m.update(version=99), "newer"),
        (lambda m: m.update(project="\x1b[2J"), "damaged"),
        (lambda m: m.update(files=7), "damaged"),
        (lambda m: m.update(format="other"), "damaged"),
        (lambda m: m.pop("model"), "damaged"),
    ],
)
def test_manifests_that_lie_are_refused(
    tmp_path: Path, project: Project, lie: Callable[[Any], None], words: str
) -> None:
    pack(project, tmp_path / "x.tunesmith")
    refused(repack(tmp_path / "x.tunesmith", lambda files: None, lie), tmp_path, words)


@pytest.mark.parametrize(
    "line", ["data:\n  path: /etc/passwd", "data:\n  path: ../x", "data:\n  path: C:\\x", "tarin: {}"]
)
def test_settings_that_point_outside_are_refused(tmp_path: Path, project: Project, line: str) -> None:
    pack(project, tmp_path / "x.tunesmith")
    spec = f"version: 1\nmodel:\n  source: starter\n{line}\n".encode()
    refused(repack(tmp_path / "x.tunesmith", lambda files: files.update({"project.yaml": spec})), tmp_path)


def test_a_used_folder_is_left_alone(tmp_path: Path, project: Project) -> None:
    pack(project, tmp_path / "x.tunesmith")
    with pytest.raises(UserError, match="not empty"):
        unpack(tmp_path / "x.tunesmith", project.folder)


def test_a_file_said_to_begin_before_the_archive_is_damaged(tmp_path: Path) -> None:
    good = (DATA / "bundle-v1.tunesmith").read_bytes()
    (tmp_path / "x.tunesmith").write_bytes(good[:2185] + b"\0" + good[2185:])
    with pytest.raises(UserError, match="damaged"):
        unpack(tmp_path / "x.tunesmith", tmp_path / "opened")


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_a_sentence_and_leaves_nothing(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    good = (DATA / "bundle-v1.tunesmith").read_bytes()
    kind = data.draw(st.sampled_from(["cut", "flip", "insert"]))
    place = data.draw(st.integers(0, len(good) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    bad = {"cut": good[:place], "flip": good[:place] + noise + good[place + len(noise) :]}.get(
        kind, good[:place] + noise + good[place:]
    )
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "x.tunesmith").write_bytes(bad)
    try:
        unpack(folder / "x.tunesmith", folder / "opened")
    except UserError as error:
        assert error.message
        assert [path.name for path in folder.iterdir()] == ["x.tunesmith"]


@settings(max_examples=300)
@given(st.text(max_size=30))
def test_a_path_that_passes_stays_inside(name: str) -> None:
    try:
        checked = check_path(f"data/{name}.json")
    except UserError:
        return
    assert Path("/a/b", checked).resolve().is_relative_to("/a/b/data")
