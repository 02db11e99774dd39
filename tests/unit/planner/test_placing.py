"""Where a base is put, what passes through the drive, and what that costs the drive."""

from __future__ import annotations

from dataclasses import replace

import pytest

from studio.machine.bench import Speeds
from studio.methods import METHODS
from studio.planner.forecast import Forecast, forecast, placed
from studio.planner.wear import life_share, streaming_words
from tests.unit.planner.samples import LLAMA_3B, LLAMA_8B, facts, machine, spec

GB = 10**9


def test_the_base_goes_to_the_drive_where_smaller_pieces_do_not_help() -> None:
    known, draft = facts(LLAMA_8B), spec("method.key=lora", "train.max_length=512")
    places = [forecast(draft, known, machine(size * GB)).placement for size in (80, 24, 12, 6)]
    assert places == ["memory", "memory", "drive", "drive"]
    streamed = forecast(draft, known, machine(6 * GB))
    assert streamed.verdict in ("fits", "tight")
    assert placed(draft, known, machine(6 * GB)).method.placement == "drive"


def test_what_was_chosen_stays() -> None:
    known, draft = facts(LLAMA_8B), spec("method.key=lora", "method.placement=memory")
    said = forecast(draft, known, machine(6 * GB))
    assert (said.placement, said.verdict) == ("memory", "short")


def test_an_adapter_that_needs_the_whole_base_stays_in_memory() -> None:
    draft = spec("method.key=lora", "method.init=pissa")
    assert forecast(draft, facts(LLAMA_8B), machine(6 * GB)).placement == "memory"
    asked = forecast(spec("method.init=pissa", "method.placement=drive"), facts(LLAMA_8B), machine(6 * GB))
    assert asked.verdict == "impossible"


@pytest.mark.parametrize(("key", "each"), [("lora", 4.0), ("qlora", 2 * (0.5 + 1 / 64 + 4 / 64 / 256))])
def test_bytes_of_a_step_are_two_readings_of_the_layers(key: str, each: float) -> None:
    known = facts(LLAMA_8B)
    said = forecast(spec(f"method.key={key}", "method.placement=drive", "method.cache_gb=0"), known, machine(8 * GB))
    layers, head, count = known.shapes.linear_numbers, known.shapes.head, known.shapes.layers
    assert said.read_bytes == pytest.approx(each * layers * (count - 1) / count + 2 * head, rel=1e-6)
    assert said.written_bytes == 0
    assert said.drive_share == 0


def test_spare_memory_saves_readings() -> None:
    known, sets = facts(LLAMA_8B), ("method.key=lora", "method.placement=drive")
    some, more = (forecast(spec(*sets, f"method.cache_gb={size}"), known, machine(8 * GB)) for size in (1, 6))
    assert some.read_bytes - more.read_bytes == 2 * 5 * GB


def test_state_follows_once_all_layers_are_in_memory() -> None:
    known = facts(LLAMA_3B)
    sets = ("method.key=ssd_offload", "method.scheme=D", "train.drive_wear=1")
    layers = 2 * sum(known.shapes.layer_sizes) / GB
    all_layers, state = (
        forecast(spec(*sets, f"method.cache_gb={layers + size}"), known, machine(8 * GB)) for size in (0, 4)
    )
    assert all_layers.read_bytes - state.read_bytes == pytest.approx(4 * GB, rel=1e-6)
    assert all_layers.written_bytes == state.written_bytes


@pytest.mark.parametrize("method", [("method.key=lora", "method.placement=drive"), ("method.key=ssd_offload",)])
def test_arithmetic_in_fp32_reads_what_16_bits_miss(method: tuple[str, ...]) -> None:
    known, sets = facts(LLAMA_8B), (*method, "method.cache_gb=0", "train.drive_wear=1")
    longer, computer = replace(known, is_bf16=False), machine(8 * GB)
    short, exact = (forecast(spec(*sets, f"train.precision={kind}"), longer, computer) for kind in ("bf16", "fp32"))
    assert exact.read_bytes > short.read_bytes + 3.8 * sum(known.shapes.layer_sizes)
    assert exact.written_bytes == short.written_bytes


def test_a_bf16_base_that_is_only_read_has_no_more() -> None:
    sets = ("method.key=lora", "method.placement=drive", "method.cache_gb=0")
    short, exact = (
        forecast(spec(*sets, f"train.precision={kind}"), facts(LLAMA_8B), machine(8 * GB)) for kind in ("bf16", "fp32")
    )
    assert exact.read_bytes == short.read_bytes


@pytest.mark.parametrize(("cache_gb", "inputs"), [(0, "device"), (4, "device"), (0, "drive")])
def test_exact_clipping_reads_what_streams_once_more_and_writes_no_more(cache_gb: int, inputs: str) -> None:
    known = facts(LLAMA_8B)
    sets = ("method.key=ssd_offload", f"method.cache_gb={cache_gb}", "train.drive_wear=1", "train.accumulation=4")
    held, usual, exact = (
        forecast(spec(*sets, f"method.clipping={clipping}", f"method.layer_inputs={place}"), known, machine(8 * GB))
        for clipping, place in (("previous", "device"), ("previous", inputs), ("exact", inputs))
    )
    again = 2 * (sum(known.shapes.layer_sizes) + known.shapes.embedding + known.shapes.head)
    again += usual.written_bytes - held.written_bytes  # what layers were given
    assert exact.read_bytes - usual.read_bytes == pytest.approx(again - cache_gb * 1e9, abs=1)
    assert exact.written_bytes == usual.written_bytes
    assert exact.disk_bytes == usual.disk_bytes


@pytest.mark.parametrize(("scheme", "moved"), [("C", 26), ("D", 18), ("E", 14.1), ("F", 12.1), ("I", 6)])
def test_streamed_training_moves_what_the_formula_says(scheme: str, moved: float) -> None:
    known = facts({**LLAMA_8B, "tie_word_embeddings": True})
    last = 2 * known.shapes.layer_sizes[-1]  # is there already on the way down
    draft = spec("method.key=ssd_offload", f"method.scheme={scheme}", "method.cache_gb=0", "train.drive_wear=1")
    said = forecast(draft, known, machine(8 * GB))
    assert said.read_bytes + said.written_bytes == pytest.approx(moved * known.shapes.total - last, rel=0.005)
    assert said.peak_bytes < 8 * GB
    assert said.memory["weights"] < 0.2 * 2 * known.shapes.total


def test_a_slow_drive_sets_the_pace() -> None:
    known, draft = facts(LLAMA_8B), spec("method.key=ssd_offload", "method.cache_gb=0", "train.drive_wear=1")
    fast = Speeds({"cuda bf16": 1e15}, {"cuda": 1e12}, 1e10, 5e9, 5e9, 8e9)
    quick, slow = (
        forecast(draft, known, replace(machine(24 * GB), speeds=speeds))
        for speeds in (fast, replace(fast, disk_read=5e8, disk_write=5e8, disk_both=5e8))
    )
    assert quick.step_seconds is not None and slow.step_seconds is not None
    moved = slow.read_bytes + slow.written_bytes
    assert slow.step_seconds == pytest.approx(moved / 5e8, rel=0.01)
    assert quick.step_seconds == pytest.approx(moved / 8e9, rel=0.01)


def test_the_way_to_a_card_sets_the_pace_where_layers_wait_in_ram() -> None:
    """Of a drive they need nothing then; each goes to the card twice a step, whatever RAM keeps."""
    known = facts(LLAMA_8B)
    draft = spec("method.key=lora", "method.placement=drive", "method.cache_gb=30", "train.max_length=64")
    speeds = Speeds({"cuda bf16": 1e15, "cpu bf16": 1e15}, {"cuda": 1e12, "cpu": 1e12}, 1e10, 5e9, 5e9, 8e9)
    quick, slow = (
        forecast(draft, known, replace(machine(24 * GB), speeds=replace(speeds, pcie=pcie))).step_seconds
        for pcie in (1e10, 5e9)
    )
    layers = 2 * sum(known.shapes.layer_sizes)
    assert quick and slow == pytest.approx(2 * quick)
    assert 1.9 * layers / 5e9 < slow < 2.1 * layers / 5e9


def test_graphs_that_stay_in_memory_save_time_on_the_processor() -> None:
    """A quarter of a whole step's products; part of it where part of the layers has room; nothing on a card."""
    known, speeds = facts(LLAMA_3B), Speeds({"cpu bf16": 1e11, "cuda bf16": 1e11}, {}, 1e10, 1e12, 1e12, 1e12)
    sets = ("method.key=ssd_offload", "method.cache_gb=0", "train.drive_wear=1", "train.max_length=64")

    def seconds(room: float, card: int = 0) -> float:
        computer = replace(machine(card), speeds=speeds)
        said = forecast(spec(*sets, f"method.graph_gb={room}"), known, computer)
        assert said.step_seconds is not None
        return said.step_seconds

    assert seconds(10) == pytest.approx(0.75 * seconds(0), rel=0.02)
    assert seconds(10) < seconds(0.1) < seconds(0)
    assert seconds(10, 24 * GB) == seconds(0, 24 * GB)


def test_inputs_of_all_micro_batches_are_counted_where_they_wait() -> None:
    """On the card as long as they fit there, else in RAM beside it, else on the drive, which they wear."""
    known = facts(LLAMA_8B)
    sets = (
        "method.key=ssd_offload",
        "method.cache_gb=0",
        "train.drive_wear=1",
        "train.max_length=2048",
        "train.batch_size=1",
    )

    def said(count: int, *more: str, card: int = 24 * GB, ram: int = 32 * GB) -> Forecast:
        return forecast(spec(*sets, f"train.accumulation={count}", *more), known, machine(card, ram))

    one, many = said(1), said(8)
    each = 32 * 4096 * 4 * 2048  # layers, width, bytes of the hidden state, tokens
    assert many.memory["activations"] - one.memory["activations"] == pytest.approx(7 * each * 34 / 32, rel=0.01)
    beside = said(8, card=6 * GB)
    assert beside.verdict in ("fits", "tight") and beside.memory["activations"] < many.memory["activations"] - 7 * each
    assert beside.ram_bytes - said(1, card=6 * GB).ram_bytes == 8 * each
    assert beside.written_bytes == many.written_bytes
    away = said(8, card=6 * GB, ram=8 * GB)
    assert away.written_bytes - many.written_bytes == away.read_bytes - many.read_bytes == 8 * each
    assert away.disk_bytes - many.disk_bytes == 8 * each
    on_the_processor = said(8, "method.layer_inputs=ram", card=0)
    assert on_the_processor.memory == said(8, "method.layer_inputs=device", card=0).memory


def test_sixteen_bits_that_would_be_emulated_are_calculated_as_widened() -> None:
    """The pace of fp32 on weights of 16 bits, which also pass so; a method that does not widen is left as it is."""
    known = facts(LLAMA_3B)
    speeds = Speeds({"cpu bf16": 1e9, "cpu fp32": 1e11}, {}, 1e10, 1e12, 1e12, 1e12)

    def said(method: str, *more: str, emulates: bool) -> Forecast:
        computer = machine()
        resources = replace(computer.resources, emulates_bf16=emulates)
        draft = spec(f"method.key={method}", "train.drive_wear=1", *more)
        return forecast(draft, known, replace(computer, resources=resources, speeds=speeds))

    native, wide = (said("ssd_offload", emulates=emulates) for emulates in (False, True))
    exact = said("ssd_offload", "train.precision=fp32", emulates=True)
    records = METHODS.get("ssd_offload").estimate(spec("method.key=ssd_offload").method, known.shapes).records_bytes
    # What is missing to fp32 and gives way to its record is not there in the first place.
    gone = min(2 * known.shapes.widest, records // 2)
    assert wide.memory == exact.memory | {
        "weights": exact.memory["weights"] // 2,
        "other": exact.memory["other"] + gone,
    }
    assert wide.step_seconds == exact.step_seconds
    assert (wide.read_bytes, wide.written_bytes) == (native.read_bytes, native.written_bytes)
    assert said("lora", emulates=True) == said("lora", emulates=False)


def test_a_run_that_wears_the_drive_asks_first() -> None:
    known, sets = facts(LLAMA_8B), ("method.key=ssd_offload", "method.cache_gb=0")
    computer = machine(24 * GB)
    capacity = computer.resources.disk_total
    said = forecast(spec(*sets, "train.steps=1000"), known, computer)
    share = life_share(said.written_bytes, 1000, capacity)
    assert share == pytest.approx(said.written_bytes * 1000 / (600 * capacity))
    assert share > 0.01 and said.verdict == "wears" and "more than the 1.0 % that is allowed" in said.reason
    assert forecast(spec(*sets, "train.steps=10"), known, computer).verdict == "fits"
    allowed = forecast(spec(*sets, "train.steps=1000", "train.drive_wear=1"), known, computer)
    assert allowed.verdict == "fits" and allowed.drive_share == share


def test_further_drives_share_place_wear_and_time() -> None:
    """Of what trains streamed; another method's run lies on its own drive."""
    known, computer = facts(LLAMA_8B), machine(24 * GB)
    speeds = Speeds({"cpu bf16": 1e16, "cpu fp32": 1e16}, {}, 1e15, 1e9, 1e9, 1e9)
    computer = replace(computer, speeds=speeds)
    shared = replace(computer, resources=replace(computer.resources, stream_drives=2))
    draft = spec("method.key=ssd_offload", "method.cache_gb=0", "train.steps=1000", "train.device=cpu")
    one, two = forecast(draft, known, computer), forecast(draft, known, shared)
    assert two.drive_share == pytest.approx(one.drive_share / 2) and two.written_bytes == one.written_bytes
    assert "to 2 drives" in two.reason and "drives" not in one.reason
    trained = METHODS.get("ssd_offload").estimate(draft.method, known.shapes)
    assert one.disk_bytes - two.disk_bytes == pytest.approx(trained.stored_bytes / 2, abs=1)
    assert one.step_seconds and two.step_seconds == pytest.approx(one.step_seconds / 2)
    lora = spec("method.key=lora", "method.placement=drive")
    assert forecast(lora, known, shared) == forecast(lora, known, computer)


def test_what_streams_is_said_in_words() -> None:
    assert streaming_words(0, 0, 10, 0.0) == ""
    assert streaming_words(32 * GB, 0, 10, 0.0).endswith("nothing written.")
    said = streaming_words(64 * GB, 48 * GB, 1000, 0.08)
    assert said == (
        "Each step reads 64 GB from the drive and writes 48 GB. "
        "The run writes 48 TB, 8.0 % of such a drive's life."
    )
    assert "less than 0.1 %" in streaming_words(10, 10, 1, 1e-9)
