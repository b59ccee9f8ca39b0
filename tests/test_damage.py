"""Event files that were damaged, cut off, made up or mixed: a reason in words, and what is good is kept."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import board
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard import errors
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.context import RequestContext
from test_events import SCHEMA, equal, sample
from werkzeug.test import Client

from kerasgrad import events
from kerasgrad.events import format, records
from kerasgrad.events.writer import Writer
from kerasgrad.finding import Finding, Severity
from kerasgrad.plugin.source import NotServedError, Source
from kerasgrad.plugin.tab import GradientFlow
from kerasgrad.run import Run, Schema, Units

CONTEXT = RequestContext()
FUZZ = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """Nothing here trains."""


def recorded(folder: Path, steps: range, **session: str) -> Run:
    """A session of a run on disk, and the same in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    run, writer = Run(SCHEMA), Writer(folder, SCHEMA, session=session)
    for step in steps:
        run.append(sample(step))
        writer.samples(sample(step).as_batch())
        writer.units(step, {"a": Units(np.array([step, -1]), np.array([1, 0]), step + 1)})
        writer.facts(step, {"model": "mine", "batches": step, "notes": ["one"]})
    writer.findings(steps[-1], [Finding(rule="dead_units", severity=Severity.NOTE, summary="It is.")])
    writer.close()
    return run


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def source(root: Path) -> Source:
    """The tab's reader over TensorBoard's own, which is made to swallow what it cannot read."""
    return Source(provider(root))


def provider(root: Path) -> MultiplexerDataProvider:
    reader = EventMultiplexer(tensor_size_guidance={"kerasgrad": 0})
    reader.AddRunsFromDirectory(str(root))
    reader.Reload()
    return MultiplexerDataProvider(reader, str(root))


# One bit.


@given(data=st.data())
@FUZZ
def test_a_flipped_bit_costs_one_record(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("flip") / "gradients"
    whole = recorded(folder, range(12))
    file = only_file(folder)
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(bytes(content))
    run = Run.load(folder)
    assert run.facts["damaged"] and len(run) >= len(whole) - 1
    index = np.isin(whole.steps, run.steps)
    for of in ("layer", "variable", "overall"):
        for name in SCHEMA.names(of):
            assert np.array_equal(run.table(name, of), whole.table(name, of)[index], equal_nan=True), (of, name)
    repr(run)


def test_numbers_that_the_fast_loader_reads_wrong_are_left_out_and_named(tmp_path: Path) -> None:
    """As it does not look at the file's checksums, these are made to fit what was flipped."""
    folder = tmp_path / "gradients"
    recorded(folder, range(6))
    file = only_file(folder)
    with file.open("rb") as read:
        payloads = list(records.read(read, pytest.fail))
    flipped = {}
    for place, payload in enumerate(payloads):
        event = Event.FromString(payload)
        for value in event.summary.value:
            if value.tag == "kerasgrad/signal_rms" and event.step == 3:
                content = bytearray(value.tensor.tensor_content)
                content[7] ^= 0x40
                value.tensor.tensor_content = bytes(content)
                flipped[place] = event.SerializeToString()
            if value.tag == "kerasgrad/facts/model":
                value.tensor.string_val[0] = value.tensor.string_val[0].replace(b"mine", b"mime")
                flipped[place] = event.SerializeToString()
    assert len(flipped) == 2
    with file.open("wb") as written:
        for place, payload in enumerate(payloads):
            records.write(written, flipped.get(place, payload))
    made = source(tmp_path)
    table = made.table(CONTEXT, "", "gradients", "signal_rms")
    assert np.isnan(table.values[3]).all() and np.isfinite(np.delete(table.values, 3, axis=0)).all()
    (run,) = made.runs(CONTEXT, "")
    assert "model" not in run["facts"] and run["facts"]["batches"] == 5
    assert any("signal_rms at step 3" in note for note in run["facts"]["notes"])
    assert any("facts/model" in note for note in run["facts"]["notes"])


def test_the_fast_loader_itself_shows_no_number_that_a_bit_has_changed(tmp_path: Path) -> None:
    root = tmp_path / "logs"
    board.write(root / "flipped" / "gradients", range(6))
    file = only_file(root / "flipped" / "gradients")
    whole = Run.load(root / "flipped").table("signal_rms", "layer")
    content = file.read_bytes()
    of_the_step = content.index(whole[3].tobytes())  # another statistic with the same numbers comes first
    place = content.index(whole[3].tobytes(), content.index(b"kerasgrad/signal_rms", of_the_step))
    file.write_bytes(content[: place + 3] + bytes([content[place + 3] ^ 0x40]) + content[place + 4 :])
    with board.tensorboard(root, runs=1) as url:
        asked = f"{url}/data/plugin/kerasgrad/values?run=flipped/gradients&of=layer&statistic=signal_rms"
        answer = board.ask(asked)
        samples, rows = struct.unpack("<II", answer[:8])
        steps = np.frombuffer(answer[8 : 8 + 8 * samples], "<f8").astype(int)
        shown = np.frombuffer(answer[8 + 8 * samples :], "<f4").reshape(samples, rows)
        notes = board.listed(url)["flipped/gradients"]["facts"]["notes"]
    assert set(steps) >= {0, 1, 2, 4, 5}, "the fast loader reads on"
    for step, values in zip(steps, shown, strict=True):
        assert np.isnan(values).all() if step == 3 else np.array_equal(values, whole[step])
    assert any("signal_rms at step 3" in note for note in notes)


# Made up.


def framed(*values: tuple[str, Any], step: int = 1, version: Any = 2) -> bytes:
    """An event with right checksums around whatever is in it: bytes are a text, arrays numbers."""
    event = Event(wall_time=1e9, step=step)
    for tag, content in values:
        value = event.summary.value.add(tag=f"kerasgrad/{tag}")
        value.metadata.data_class, value.metadata.plugin_data.plugin_name = 2, "kerasgrad"
        names = list(SCHEMA.names("overall")) if tag == "overall" else ["a"]
        value.metadata.plugin_data.content = json.dumps({"version": version, "rows": names}).encode()
        if isinstance(content, bytes):
            value.tensor.dtype = format.DT_STRING
            value.tensor.string_val.extend(format.checked(content))
            value.tensor.tensor_shape.dim.add(size=2)
        else:
            content(value.tensor)
    return records.framed(event.SerializeToString())


def tensor(values: Any, dtype: int | None = None, shape: tuple[int, ...] | None = None) -> Callable[[Any], None]:
    """Fills in a tensor: of these bytes or numbers, with whatever type and shape."""

    def fill(tensor: Any) -> None:
        array = np.asarray(values)
        tensor.dtype = format.DTYPES.get(array.dtype, 1) if dtype is None else dtype
        for size in array.shape if shape is None else shape:
            tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_content = array.tobytes()

    return fill


ROWS = {**SCHEMA.to_dict()}
OVERALL = ("overall", tensor(np.ones(len(SCHEMA.names("overall")), np.float32)))
SIGNAL = np.ones(3, np.float32)
FINDING = {"rule": "r", "severity": "note", "summary": "s"}
MADE_UP: dict[str, list[tuple[str, Any]]] = {
    **{
        f"schema: {name}": [("schema", json.dumps(rows).encode())]
        for name, rows in {
            "a list": [], "a number": 3, "null": None, "empty": {}, "nested": {**ROWS, "layers": [["a"]]},
            "no text": {**ROWS, "layers": [1, 2, 3]}, "twice": {**ROWS, "layers": ["a", "a", "c"]},
            "activations": {**ROWS, "activations": ["relu"]}, "null among": {**ROWS, "activations": [None] * 3},
            "owners": {**ROWS, "owners": [0, 0, 7]}, "owner below": {**ROWS, "owners": [0, 0, -1]},
            "owners short": {**ROWS, "owners": [0]}, "sizes": {**ROWS, "sizes": ["6", 2, 4]},
            "size below": {**ROWS, "sizes": [-6, 2, 4]}, "units": {**ROWS, "units": {"a": 10**15}},
            "units list": {**ROWS, "units": ["a"]}, "units none": {**ROWS, "units": {"z": 3}},
            "units zero": {**ROWS, "units": {"a": 0}}, "recurrent": {**ROWS, "recurrent": ["nobody"]},
            "recurrent text": {**ROWS, "recurrent": "a"}, "bins": {**ROWS, "bins": [3.0, 1.0]},
            "one bin": {**ROWS, "bins": [1.0]}, "many bins": {**ROWS, "bins": list(range(10**5))},
            "statistics": {**ROWS, "statistics": [3]}, "statistic": {**ROWS, "statistics": [{"name": "x y", "of": "layer"}]},
            "of": {**ROWS, "statistics": [{"name": "x", "of": "galaxy"}]}, "missing": {"layers": ["a"]},
        }.items()
    },
    "schema: no json": [("schema", b"{")], "schema: deep": [("schema", b"[" * 100_000)],
    "schema: deep but whole": [("schema", b"[" * 900 + b"]" * 900)], "schema: digits": [("schema", b"1" * 5000)],
    "schema: not utf-8": [("schema", b'"\xff\xfe"')], "schema: numbers": [("schema", tensor(SIGNAL))],
}  # fmt: skip
ON_TOP: dict[str, list[tuple[str, Any]]] = {
    **{
        f"{tag}: {name}": [(tag, json.dumps(text).encode())]
        for tag, texts in {
            "facts": {"list": [], "number": 3, "wrong": {"not_examined": 3, "notes": "x", "history": [1], "window": "w"}},
            "facts/not_examined": {"list": ["a"], "numbers": {"a": 3}, "null": None},
            "facts/notes": {"text": "note", "numbers": [1]}, "facts/history": {"list": [1], "columns": {"loss": 3}},
            "facts/model": {"number": 3, "null": None, "surrogate": "\ud800"}, "facts/clipping": {"text": {"clipnorm": "x"}},
            "facts/window": {"text": "50", "huge": 10**400}, "facts/samples": {"dict": {}},
            "findings": {"text": "x", "numbers": [1, 2], "empty": [{}], "severity": [{**FINDING, "severity": "grave"}],
                         "layers": [{**FINDING, "layers": 3}], "step": [{**FINDING, "since": "x"}],
                         "measured": [{**FINDING, "measured": "much"}], "dict": {"findings": {"a": 1}}},
            "unit_counts": {"list": [], "length": {"a": 2}, "layer": {"z": [2, 1]}, "below": {"a": [2, -1]},
                            "text": {"a": ["2", 1]}},
            "session": {"list": [], "number": {"run": 3}},
        }.items()
        for name, text in texts.items()
    },
    "signal: shape": [OVERALL, ("signal_rms", tensor(SIGNAL, shape=(2,)))],
    "signal: rows": [OVERALL, ("signal_rms", tensor(np.ones(7, np.float32)))],
    "signal: type": [OVERALL, ("signal_rms", tensor(SIGNAL, dtype=9))],
    "signal: unknown type": [OVERALL, ("signal_rms", tensor(SIGNAL, dtype=99))],
    "signal: huge shape": [OVERALL, ("signal_rms", tensor(SIGNAL, shape=(2**40, 2**40)))],
    "signal: below": [OVERALL, ("signal_rms", tensor(SIGNAL, shape=(-3,)))],
    "signal: text": [OVERALL, ("signal_rms", b"[1, 2]")],
    "overall: rows": [("overall", tensor(np.ones(3, np.float32)))],
    "overall: table": [("overall", tensor(np.ones((2, 2), np.float32)))],
    "overall: int64": [("overall", tensor(np.ones(3, np.int64)))],
    "time: table": [OVERALL, ("signal_over_time/b <script>", tensor(np.ones((2, 2), np.float32)))],
    "histogram: none": [OVERALL, ("gradient_histogram", tensor(np.ones((3, 2), np.float32)))],
    "units: one row": [("units", tensor(np.ones((1, 2), np.int64)))],
    "checks: table": [OVERALL, ("checks", tensor(np.ones((2, 2), np.int32)))],
    "variable: rows": [OVERALL, ("variable/gradient_norm", tensor(np.ones(9, np.float32)))],
    "no such tag": [OVERALL, ("galaxies", tensor(SIGNAL))],
}  # fmt: skip


def shown(made: Source, name: str) -> dict[str, Any]:
    """A run as the tab gives it, each of its tables asked for; other errors than the one that is meant come through."""
    (run,) = (run for run in made.runs(CONTEXT, "") if run["name"] == name)
    json.dumps(run)
    if run["reason"] is None:
        tags = ["overall", *run["layer"], *(f"variable/{n}" for n in run["variable"])]
        for tag in (
            *tags,
            *(f"signal_over_time/{path}" for path in run["over_time"]),
            "gradient_histogram",
            "units",
            "schema",
        ):
            try:
                made.table(CONTEXT, "", name, tag)
            except NotServedError as error:
                assert str(error)
    return run


@pytest.mark.parametrize("name", MADE_UP)
def test_rows_that_make_no_sense_are_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "bad" / "gradients"
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1.x").write_bytes(framed(*MADE_UP[name]) + framed(OVERALL, step=2))
    board.write(tmp_path / "good" / "gradients", range(3))
    with pytest.raises(ValueError, match=r"hold no rows: .+ Received: "):
        Run.load(folder)
    made = source(tmp_path)
    assert shown(made, "bad/gradients")["reason"]
    assert shown(made, "good/gradients")["reason"] is None, "the others are not taken down"


@pytest.mark.parametrize("name", ON_TOP)
def test_records_that_make_no_sense_cost_themselves(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "gradients"
    whole = recorded(folder, range(4))
    with only_file(folder).open("ab") as file:
        file.write(framed(*ON_TOP[name], step=3 if "overall" not in dict(ON_TOP[name]) else 9))
    run = Run.load(folder)
    assert len(run) >= len(whole) and equal(run.select(steps=slice(0, 4)), whole)
    assert repr(run) and run.not_examined is not None and run._repr_html_() and repr(run.findings)
    assert shown(source(tmp_path), "gradients")["reason"] is None or "checks" in name or "type" in name or "shape" in name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ROWS, *FINDING, "a", "model"]), inner),
    max_leaves=12,
)


@given(tag=st.sampled_from(["schema", "facts", "facts/notes", "findings", "unit_counts", "session"]), text=JSON)
@FUZZ
def test_whatever_a_text_says_nothing_but_a_reason_comes_out(
    tag: str, text: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("text") / "gradients"
    recorded(folder, range(2))
    changed = {**ROWS, **text} if tag == "schema" and isinstance(text, dict) else text
    written = framed((tag, json.dumps(changed).encode())) + only_file(folder).read_bytes()
    only_file(folder).write_bytes(written)
    try:
        repr(Run.load(folder))
    except ValueError as error:
        assert "hold no rows" in str(error)
    shown(source(folder.parent), "gradients")


@given(content=st.binary(max_size=300), at=st.floats(0, 1))
@FUZZ
def test_whatever_bytes_are_in_the_middle_nothing_but_a_reason_comes_out(
    content: bytes, at: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bytes") / "gradients"
    recorded(folder, range(3))
    whole = only_file(folder).read_bytes()
    place = int(at * len(whole))
    only_file(folder).write_bytes(whole[:place] + content + whole[place + len(content) // 2 :])
    try:
        repr(Run.load(folder))
    except ValueError as error:
        assert "hold no rows" in str(error)


def test_a_length_that_is_made_up_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "gradients"
    whole = recorded(folder, range(3))
    length = struct.pack("<Q", 2**62)
    with only_file(folder).open("ab") as file:
        file.write(length + struct.pack("<I", records._masked(length)) + b"x" * 50)
    assert equal(Run.load(folder), whole)


@given(
    run=st.sampled_from(["gradients", "nothing", "²"]) | st.text(max_size=5),
    of=st.sampled_from(["layer", "variable", "overall", "time", "histogram", "x"]),
    statistic=st.sampled_from(["signal_rms", "units", "schema", "facts/model"]) | st.text(max_size=8),
    row=st.sampled_from(["", "0", "-1", "9" * 4301, "²", "1e3", "٣", "nan"]) | st.integers().map(str),
    after=st.sampled_from(["", "0", "-1", "-", "9" * 5000]) | st.text(max_size=3),
)
@FUZZ
def test_whatever_is_asked_for_the_routes_answer_or_refuse(
    shared: Client, run: str, of: str, statistic: str, row: str, after: str
) -> None:
    """What TensorBoard makes a 500 of is any error but its own public ones."""
    asked = {"run": run, "of": of, "statistic": statistic, "row": row, "after": after}
    try:
        assert shared.get("/values", query_string=asked).status_code == 200
    except errors.PublicError as error:
        assert error.http_code in (400, 404) and len(str(error)) < 1000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """The tab's routes over one run."""
    root = tmp_path_factory.mktemp("routes")
    recorded(root / "gradients", range(3))

    class Context:
        data_provider, sampling_hints = provider(root), None

    apps = GradientFlow(Context()).get_plugin_apps()
    return Client(lambda environ, start: apps[environ["PATH_INFO"]](environ, start))


# Names, sizes, clocks.


def test_a_folder_whose_name_is_a_digit_and_no_number_is_none_of_ours(tmp_path: Path) -> None:
    recorded(tmp_path / "gradients", range(2))
    recorded(tmp_path / "²" / "gradients", range(3))
    assert len(Run.load(tmp_path)) == 2
    assert events.new_directory(tmp_path) == tmp_path / "2" / "gradients"


def test_the_name_of_a_file_is_the_usual_one(tmp_path: Path) -> None:
    recorded(tmp_path / "gradients", range(2))
    assert re.fullmatch(r"events\.out\.tfevents\.\d{10}\.[^/\\:*?\"<>|]+\.\d+\.\d+", only_file(tmp_path / "gradients").name)


def test_nothing_of_this_machine_is_in_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "gradients"
    folder.mkdir()
    writer = Writer(folder, SCHEMA)
    writer.samples(sample(0).as_batch())
    writer.facts(0, {"directory": str(folder), "damaged": [str(folder)], "model": "mine"})
    writer.close()
    assert str(tmp_path).encode() not in only_file(folder).read_bytes()


def test_facts_and_units_take_little_of_a_file(tmp_path: Path) -> None:
    """Of ten wide layers, flushed after each sample; they were most of the file once."""
    layers = tuple(f"block{i}" for i in range(10))
    wide = Schema(layers, (), (), (), ("relu",) * 10, dict.fromkeys(layers, 512))
    facts = {"model": "m", "not_examined": {f"x{i}": "because it is so" for i in range(300)}, "notes": []}
    sizes = []
    for flushed in (False, True):
        folder = tmp_path / str(flushed) / "gradients"
        folder.mkdir(parents=True)
        writer = Writer(folder, wide)
        for step in range(400):
            made = board.sample(step, 10)
            writer.samples(made.as_batch())
            if flushed:
                units = {path: Units(np.full(512, step), np.zeros(512, np.int64), step) for path in layers}
                history = {"step": list(range(step)), "loss": [0.1] * step}
                writer.units(step, units)
                writer.facts(step, {**facts, "batches": step, "history": history})
        writer.close()
        sizes.append(only_file(folder).stat().st_size)
    run = Run.load(tmp_path / "True")
    assert run.facts["batches"] == 399 and len(run.facts["history"]["step"]) == 399
    assert run.units["block3"].last_fired.tolist() == [399] * 512
    units_once = 2 * 8 * 10 * 512
    assert sizes[1] < 1.2 * sizes[0] + 2 * units_once, "units at the beginning and at the end"


def test_facts_are_on_disk_with_the_first_flush_and_written_again_only_when_they_change(tmp_path: Path) -> None:
    folder = tmp_path / "gradients"
    folder.mkdir()
    writer = Writer(folder, SCHEMA)
    writer.samples(sample(0).as_batch())
    writer.facts(0, {"model": "mine", "batches": 1})
    writer.flush()
    assert Run.load(tmp_path).facts["model"] == "mine" and len(Run.load(tmp_path)) == 1, "though nothing was closed"
    before = only_file(folder).stat().st_size
    writer.facts(0, {"model": "mine", "batches": 1})
    writer.flush()
    assert only_file(folder).stat().st_size == before
    writer.facts(1, {"model": "mine", "batches": 2})
    writer.close()
    assert only_file(folder).stat().st_size < before + 200
    assert Run.load(tmp_path).facts["batches"] == 2


def test_the_list_of_runs_does_not_read_all_facts_again(tmp_path: Path) -> None:
    recorded(tmp_path / "gradients", range(300))
    asked = []

    class Counting:
        def __init__(self, inner: Any) -> None:
            self.list_tensors, self._inner = inner.list_tensors, inner

        def read_tensors(self, *given: Any, **named: Any) -> Any:
            read = self._inner.read_tensors(*given, **named)
            asked.extend(datum for tags in read.values() for data in tags.values() for datum in data)
            return read

    made = Source(Counting(provider(tmp_path)))
    assert made.runs(CONTEXT, "")[0]["facts"]["batches"] == 299
    assert len(asked) <= 6, "the last of each text"
    asked.clear()
    made.runs(CONTEXT, "")
    assert not asked


def test_a_file_that_is_removed_while_it_is_written_is_an_error_of_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "gradients"
    folder.mkdir()
    writer = Writer(folder, SCHEMA)
    writer.samples(sample(0).as_batch())
    only_file(folder).unlink()
    with pytest.raises(OSError, match="removed while"):
        writer.samples(sample(1).as_batch())


def test_a_clock_that_is_set_back_does_not_change_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "gradients", range(3), run="one")
    with monkeypatch.context() as earlier:
        earlier.setattr("kerasgrad.events.writer.time.time", lambda: 1e9)
        recorded(tmp_path / "gradients", range(3, 6), run="one")
    run = Run.load(tmp_path)
    assert run.steps.tolist() == list(range(6)) and "damaged" not in run.facts


# Several sessions.


def test_what_a_later_session_trained_again_counts_as_it_was_trained_then(tmp_path: Path) -> None:
    """Two went on from the checkpoint at step 3; they are not mixed."""
    recorded(tmp_path / "gradients", range(6), run="one")
    folder = tmp_path / "gradients"
    writer = Writer(folder, SCHEMA, session={"run": "one"})
    for step in (3, 5):
        writer.samples(sample(step, seed=100).as_batch())
    writer.close()
    run = Run.load(tmp_path)
    assert run.steps.tolist() == [0, 1, 2, 3, 5]
    expected = [sample(0).overall["loss"], sample(3, 100).overall["loss"], sample(5, 100).overall["loss"]]
    assert run.overall("loss")[[0, 3, 4]].tolist() == expected
    assert any("trained again" in what for what in run.facts["damaged"])
    assert source(tmp_path).table(CONTEXT, "", "gradients", "overall").steps.tolist() == [0, 1, 2, 3, 5]


def test_another_training_in_the_same_folder_is_left_out_and_named(tmp_path: Path) -> None:
    recorded(tmp_path / "gradients", range(6), run="one")
    whole = recorded(tmp_path / "gradients", range(4), run="other")
    run = Run.load(tmp_path)
    assert equal(run, whole)
    assert "1 of 2 event files here are of another training" in run.facts["damaged"][0]
