"""How numbers and names are written: never cut, unique, harmless, and as wide as there is room."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path

import board
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasgrad.finding import Diagnosis, Finding, Severity, rounded
from kerasgrad.run import Run, Schema
from kerasgrad.views import layer_table, page, text, writing
from kerasgrad.views.labels import labels
from kerasgrad.views.writing import encodable, printable

EVIL = "\x1b[31mred\x1b[0m\r\nnext\u202eevil\u2066\ud800"
"""Colours, a line break, marks that turn the direction of writing, and half a character."""
WIDTHS = (80, 100, 118)

BERT = [
    f"bert_backbone/transformer_layer_{i}/{part}"
    for i in range(12)
    for part in (
        "self_attention_layer/query", "self_attention_layer/key", "self_attention_layer/value",
        "self_attention_layer/attention_output", "self_attention_layer_norm", "feedforward_intermediate_dense",
        "feedforward_output_dense", "feedforward_layer_norm",
    )
]  # fmt: skip
FLAT = [
    f"transformer_decoder_layer_{i}_{part}_residual_add" for i in range(25) for part in ("self_attention", "feed_forward")
]
RESNET = [f"stage{s}_block{b}_{part}" for s in range(4) for b in range(6) for part in ("1_conv", "1_bn", "2_conv", "add")]


def recorded(names: tuple[str, ...], value: float = -1.2345e-5, activation: str = "hard_sigmoid") -> Run:
    schema = Schema(names, (), (), (), (activation,) * len(names), {})
    run = Run(schema, {"model": "long"})
    sample = board.sample(0, len(names))
    for _, name, _, _ in text.COLUMNS:
        sample.layer[name] = np.full(len(names), value, np.float32)
    for name in ("activation_zeros", "dead_fraction", "saturated_fraction"):
        sample.layer[name][:] = 0.37
    sample.layer["signal_rms"] = np.geomspace(1e-6, 0.0123, len(names)).astype(np.float32)
    run.append(sample)
    return run


class TestNumbers:
    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (0.0, "0"), (0.001, "0.001"), (np.float32(1e-3), "0.001"), (0.00099, "9.9e-04"), (0.0123456, "0.0123"),
            (1.0, "1"), (-12.345, "-12.3"), (999.4, "999"), (999.6, "1000"), (1234.4, "1234"), (99999.4, "99999"),
            (99999.9, "1.0e+05"), (1.5e-14, "1.5e-14"), (float("inf"), "inf"), (float("-inf"), "-inf"),
        ],
    )  # fmt: skip
    def test_one_rounding(self, value: float, written: str) -> None:
        assert rounded(float(value)) == text.number(value) == written

    def test_a_finding_and_a_table_say_the_same(self) -> None:
        found = Finding(
            rule="x", severity=Severity.NOTE, summary="It is.", quantity="ratio", measured=0.001, threshold=0.02, samples=3
        )
        assert found.evidence == f"ratio {text.number(0.001)} (threshold {text.number(0.02)}); 3 samples"

    @given(st.floats(allow_nan=False, allow_infinity=False, width=32))
    def test_none_is_wider_than_its_column_and_each_can_be_read_back(self, value: float) -> None:
        written = rounded(value)
        assert len(written) <= 8
        assert float(written) == pytest.approx(value, rel=0.051)


class TestNames:
    @pytest.mark.parametrize("paths", [BERT, FLAT, RESNET, ["a", "b"], [], ["x/y"]], ids=str)
    @pytest.mark.parametrize("room", [None, 28, 20, 12])
    def test_labels_are_unique_and_fit(self, paths: list[str], room: int | None) -> None:
        made = labels(paths, room)
        assert len(set(made)) == len(made) == len(paths)
        assert room is None or max(map(len, made), default=0) <= room

    def test_the_words_that_all_share_go_and_digits_stay(self) -> None:
        made = labels(BERT)
        assert made[0] == "transformer_0/self_attention_layer/query" and made[-1].startswith("transformer_11/")
        assert labels(["net/dense", "net/dense_1"]) == ["dense", "dense_1"]
        assert labels(["hidden01", "hidden02"]) == ["hidden01", "hidden02"]

    @pytest.mark.parametrize("room", [28, 20])
    def test_the_number_of_a_block_can_be_read_in_a_short_label(self, room: int) -> None:
        for path, label in zip(FLAT, labels(FLAT, room), strict=True):
            assert re.findall(r"\d+", path) == re.findall(r"\d+", label), label

    @given(st.lists(st.text("ab_/0", min_size=1, max_size=30), unique=True, max_size=12), st.integers(4, 20))
    def test_whatever_the_names_labels_are_unique(self, paths: list[str], room: int) -> None:
        for limit in (None, room):
            made = labels(paths, limit)
            assert len(set(made)) == len(paths) and (limit is None or max(map(len, made), default=0) <= limit)

    @given(st.text())
    def test_what_is_printed_has_one_line_and_no_command(self, name: str) -> None:
        written = printable(name)
        assert len(written.splitlines()) <= 1 and not re.search("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e]", written)
        written.encode("utf-8")

    def test_ordinary_names_stay_as_they_are(self) -> None:
        for name in ("dense_3/kernel", "größe", "層", "a b", "é"):
            assert printable(name) == name

    def test_reports_and_pages_show_a_name_and_never_obey_it(self) -> None:
        run = recorded((EVIL, "plain"), activation=f"relu{EVIL}")
        run.facts |= {"model": EVIL, "notes": [EVIL], "not_examined": {EVIL: EVIL}, "directory": EVIL, "damaged": [EVIL]}
        found = Finding(rule="x", severity=Severity.ERROR, summary=EVIL, layers=(EVIL,), starts_at=EVIL, causes=(EVIL,))
        diagnosis = Diagnosis((found,), {EVIL: EVIL}, ("x",), EVIL, 1, (0, 0), {EVIL: 1.0, "plain": 0.1})
        shown, coloured = io.StringIO(), io.StringIO()
        text.show(run, diagnosis, shown)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FORCE_COLOR", "1")
            text.show(run, diagnosis, coloured)
        own = re.sub(r"\x1b\[[\d;]*m", "", coloured.getvalue())
        for report in (repr(run), repr(diagnosis), shown.getvalue(), own, page.page(run, diagnosis), run._repr_html_()):
            assert not re.search("[\x00-\x09\x0b-\x1f\u202e\u2066\ud800]", report.split("<script")[0])
            assert "\\x1b[31mred" in report
            report.encode("utf-8")


class TestWidths:
    @pytest.mark.parametrize("wide", WIDTHS)
    @pytest.mark.parametrize("names", [tuple(BERT), tuple(RESNET), ("hidden01", "classes")], ids=["bert", "resnet", "plain"])
    def test_figures_and_names_are_never_cut(self, names: tuple[str, ...], wide: int) -> None:
        run = recorded(names)
        report = text.report(run, wide)
        lines = report.splitlines()
        assert max(map(len, lines)) <= wide
        wanted = [text.number(float(v)) for v in run.table("signal_rms", "layer")[0]]
        rows = [line for line in lines if " -1.2e-05 " in line]
        assert len(rows) == len(names) and all(f" {value}" in row for value, row in zip(wanted, rows, strict=True))
        first = [row.split()[0] for row in rows]
        assert len(set(first)) == len(names), "every layer can be told"
        assert wide < 118 or names != ("hidden01", "classes") or "act. mean" in report

    def test_columns_go_in_the_order_of_what_matters(self) -> None:
        run = recorded(("hidden01", "classes"))
        seen = [{h for h, *_ in text.COLUMNS if h in text.report(run, wide)} for wide in range(118, 59, -1)]
        order = [h for h in ("act. mean", "std", "zeros", "saturated", "dead", "update/w")]
        for wider, narrower in itertools.pairwise(seen):
            gone = [h for h in order if h in wider - narrower]
            assert all(not {o for o in order[: order.index(h)]} & narrower for h in gone), "less matters more"
        assert {"gradient", "signal"} <= seen[-1] and len(seen[0]) == len(text.COLUMNS)

    def test_what_is_left_out_is_said(self) -> None:
        run = recorded(("hidden01", "classes"))
        assert "not shown, for want of room" not in text.report(run, 118)
        said = re.search(r"not shown, for want of room: (.*)", text.report(run, 80))
        assert said and said[1].startswith("act. mean")

    def test_a_terminal_gets_its_own_width_and_a_pipe_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        run = recorded(("hidden01", "classes"))
        assert writing.width() == text.WIDTH
        monkeypatch.setenv("COLUMNS", "80")
        assert repr(run) == text.report(run, text.WIDTH), "a pipe"
        monkeypatch.setattr("sys.stdout", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
        assert writing.width() == 80 and repr(run) == text.report(run, 80)

    def test_the_longest_name_leaves_room_for_figures(self) -> None:
        run = recorded(("x" * 200, "y" * 200))
        report = text.report(run, 80)
        assert max(map(len, report.splitlines())) <= 80 and report.count("-1.2e-05") >= 2
        shown = next(line for line in report.splitlines() if "xx" in line).split()[0]
        assert len(shown) >= layer_table.NAME_AT_LEAST


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp437"])
    def test_a_report_fits_an_old_encoding(self, encoding: str) -> None:
        report = text.report(recorded(("層", "b")))
        written = encodable(report, encoding)
        assert written.encode(encoding).decode(encoding) == written
        assert encoding == "cp437" or ("##########" in written and "█" not in written)

    def test_utf8_keeps_everything(self) -> None:
        report = text.report(recorded(("層", "b")))
        assert encodable(report, "utf-8") == encodable(report, None) == report

    def test_show_writes_into_a_file_of_an_old_encoding(self, tmp_path: Path) -> None:
        run = recorded(("層", "b"))
        with (tmp_path / "report.txt").open("w", encoding="cp1252") as file:
            text.show(run, file=file)
        assert "##########" in (tmp_path / "report.txt").read_text(encoding="cp1252")
