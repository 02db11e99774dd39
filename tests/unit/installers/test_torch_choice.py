"""Every row of the table that chooses PyTorch's build."""

from __future__ import annotations

import pytest

from installers.facts import has_simd_units, parse_nvidia
from installers.torch_choice import Facts, choose_torch

LINUX = ("Linux", "x86_64")
WINDOWS = ("Windows", "amd64")


@pytest.mark.parametrize(
    ("facts", "wanted", "backend", "tags"),
    [
        (Facts(*LINUX), "auto", "cpu", ("cpu",)),
        (Facts("Linux", "aarch64"), "auto", "cpu", ("cpu",)),
        (Facts("Linux", "riscv64"), "auto", "cpu", ()),
        (Facts(*WINDOWS), "auto", "cpu", ("cpu",)),
        (Facts("Darwin", "arm64"), "auto", "apple", ()),
        (Facts("Darwin", "x86_64"), "auto", "cpu", ()),
        # The driver decides: CUDA 13 from 580, 12.6 from 525 on, nothing before.
        (Facts(*LINUX, (580, 65), (9, 0)), "auto", "cuda", ("cu130", "cu126")),
        (Facts(*LINUX, (595, 71), (12, 0)), "auto", "cuda", ("cu130",)),
        (Facts(*LINUX, (570, 0), (8, 9)), "auto", "cuda", ("cu126",)),
        (Facts(*WINDOWS, (580, 88), (8, 6)), "auto", "cuda", ("cu130", "cu126")),
        (Facts(*LINUX, (525, 59), (8, 6)), "auto", "cpu", ("cpu",)),
        (Facts(*LINUX, (470, 0), (8, 6)), "auto", "cpu", ("cpu",)),
        # The GPU decides: before Turing only 12.6, Blackwell only 13, Kepler none.
        (Facts(*LINUX, (580, 65), (6, 1)), "auto", "cuda", ("cu126",)),
        (Facts(*LINUX, (580, 65), (7, 5)), "auto", "cuda", ("cu130", "cu126")),
        (Facts(*LINUX, (570, 0), (12, 0)), "auto", "cpu", ("cpu",)),
        (Facts(*LINUX, (470, 0), (3, 5)), "auto", "cpu", ("cpu",)),
        # An old driver that does not tell the GPU's age.
        (Facts(*LINUX, (535, 0), None), "auto", "cuda", ("cu126",)),
        # AMD: on Linux only. NVIDIA beside AMD wins.
        (Facts(*LINUX, has_amd_gpu=True), "auto", "rocm", ("rocm7.2", "rocm7.1")),
        (Facts(*WINDOWS, has_amd_gpu=True), "auto", "cpu", ("cpu",)),
        (Facts(*LINUX, (580, 65), (9, 0), has_amd_gpu=True), "auto", "cuda", ("cu130", "cu126")),
        # What the person asks for wins over the hardware.
        (Facts(*LINUX, (580, 65), (9, 0)), "cpu", "cpu", ("cpu",)),
        (Facts(*LINUX), "cuda", "cuda", ("cu130", "cu126")),
        (Facts(*LINUX, (470, 0)), "cuda", "cuda", ("cu130",)),
        (Facts(*LINUX), "rocm", "rocm", ("rocm7.2", "rocm7.1")),
    ],
)
def test_every_case(facts: Facts, wanted: str, backend: str, tags: tuple[str, ...]) -> None:
    choice = choose_torch(facts, wanted)
    assert (choice.backend, choice.tags) == (backend, tags)
    assert choice.why


@pytest.mark.parametrize(
    ("facts", "advice"),
    [
        (Facts(*LINUX, (470, 0), (8, 6)), "Update the NVIDIA driver to 580"),
        (Facts(*LINUX, (570, 0), (12, 0)), "Update the NVIDIA driver to 580"),
        (Facts(*LINUX, (470, 0), (3, 5)), "GTX 900"),
        (Facts(*WINDOWS, has_amd_gpu=True), "Linux with ROCm"),
        (Facts("Darwin", "x86_64"), "not built for Intel Macs"),
        (Facts(*LINUX), "small models"),
    ],
)
def test_less_than_a_gpu_comes_with_advice(facts: Facts, advice: str) -> None:
    assert advice in choose_torch(facts).advice


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("580.65.06, 9.0\n", ((580, 65), (9, 0))),
        ("570.10, 7.5\n570.10, 12.0\n", ((570, 10), (12, 0))),
        ("535.104.05\n", ((535, 104), None)),
        ("535.104.05, [N/A]\n", ((535, 104), None)),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", (None, None)),
        ("", (None, None)),
    ],
)
def test_nvidia_smi_is_read(text: str, found: object) -> None:
    assert parse_nvidia(text) == found


def test_a_processor_is_no_amd_gpu(tmp_path) -> None:
    node = tmp_path / "properties"
    node.write_text("cpu_cores_count 16\nsimd_count 0\n")
    assert not has_simd_units(node)
    node.write_text("cpu_cores_count 0\nsimd_count 80\n")
    assert has_simd_units(node)
    assert not has_simd_units(tmp_path / "absent")
