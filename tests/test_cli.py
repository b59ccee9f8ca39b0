"""The command line: what it prints, how it fails, its exit status, and that it does not wait for TensorFlow."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
import types
import warnings
import zipfile
from pathlib import Path

import board
import numpy as np
import pytest

from kerasgrad import audit, cli, rules
from kerasgrad.finding import Diagnosis, Finding, Severity
from kerasgrad.run import Run
from kerasgrad.version import __version__
from kerasgrad.views import export


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    board.write(tmp_path / "one" / "gradients", range(8))
    board.write(tmp_path / "two" / "gradients", range(8), seed=1)
    return tmp_path


def test_help_has_examples_that_parse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    examples = re.findall(r"^  kerasgrad (\S.*?)(?:   .*)?$", capsys.readouterr().out, flags=re.M)
    commands = {example.split()[0] for example in examples}
    assert commands == set(cli.COMMANDS)
    for example in examples:
        cli.parser().parse_args(example.split())


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0 and f"example: kerasgrad {command} " in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"kerasgrad {__version__}\n"


def test_report_prints_the_runs_report(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(logs / "one")]) == 0
    assert capsys.readouterr().out == repr(Run.load(logs / "one")) + "\n"


def test_report_as_a_page(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = logs / "report.html"
    assert cli.main(["report", str(logs / "one"), "--html", str(file)]) == 0
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>") and str(file) in capsys.readouterr().out


def test_diagnose_prints_findings_and_the_marked_table(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diagnose", str(logs / "one")]) == 0
    said = capsys.readouterr().out
    assert said.startswith(repr(rules.diagnose(Run.load(logs / "one"))).splitlines()[0]) and "bar: signal" in said


@pytest.mark.parametrize("severity", list(Severity))
def test_the_exit_status_of_diagnose_is_for_ci(
    logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, severity: Severity
) -> None:
    found = Diagnosis((Finding(rule="one", severity=severity, summary="It is.", measured=float("inf")),))
    monkeypatch.setattr("kerasgrad.monitoring.judge.look_back", lambda run: found)
    assert cli.main(["diagnose", str(logs / "one"), "--json"]) == (1 if severity is Severity.ERROR else 0)
    assert Diagnosis.from_dict(json.loads(capsys.readouterr().out)).to_dict() == found.to_dict()


def test_audit_of_a_saved_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import keras

    layers = [keras.layers.Input((4,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1, "softmax")]
    sick = keras.Sequential(layers)
    sick.compile("adam", "binary_crossentropy")
    sick.save(tmp_path / "sick.keras")
    status = cli.main(["audit", str(tmp_path / "sick.keras"), "--json", "--batch-size", "32"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = audit(sick, 32)
    found = Diagnosis.from_dict(json.loads(capsys.readouterr().out))
    assert [f.rule for f in found] == [f.rule for f in expected] and found
    assert status == (1 if expected.of(Severity.ERROR) else 0)
    assert cli.main(["audit", str(tmp_path / "sick.keras"), "--fail-on", "never"]) == 0


def test_a_model_that_cannot_be_loaded_is_not_one_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged, emptied, other = (tmp_path / name for name in ("damaged.keras", "emptied.keras", "other.h5"))
    damaged.write_bytes(b"PK\x03\x04 and then nothing")
    with zipfile.ZipFile(emptied, "w") as archive:
        archive.writestr("config.json", "{}")
    other.write_bytes(b"nothing")
    said = {}
    for file in (damaged, emptied, other, tmp_path / "nothing.keras"):
        assert cli.main(["audit", str(file)]) == 2
        said[file.name] = capsys.readouterr().err
        assert said[file.name].startswith("kerasgrad: ") and said[file.name].count("\n") == 1
    assert "is damaged" in said["damaged.keras"] and "File not found" not in "".join(said.values())
    assert "Keras cannot load that model" in said["emptied.keras"] and "Keras cannot load" in said["other.h5"]
    assert "There is no such file" in said["nothing.keras"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["diagnose", "{}"], "There are several runs; name one of {}/one, {}/two."),
        (["report", "{}", "--html", "x.html"], "There are several runs"),
        (["report", "{}/nothing"], "That directory does not exist. Received: "),
        (["report", "{}/onne"], "does not exist. Did you mean {}/one?"),
        (["summary", "{}/plain"], "written by something else, such as keras.callbacks.TensorBoard"),
        (["report", "{}/plain"], "Train with callbacks=[kerasgrad.GradientMonitor("),
        (["summary", "{}/empty"], "No run of kerasgrad is in that directory. Record one with"),
        (["export", "{}/one", "--format", "parquet"], "name a file"),
        (["compare", "{}/one", "{}/one"], "takes two runs"),
        (["report", "{}/one", "--html", "{}/no/such/folder/x.html"], "No such file or directory"),
        (["tensorboard", "{}/nothing"], "That directory does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    logs: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (logs / "empty").mkdir()
    (logs / "plain" / "train").mkdir(parents=True)
    (logs / "plain" / "train" / "events.out.tfevents.1.host.1.0.v2").write_bytes(b"")
    assert cli.main([word.format(logs) for word in words]) == 2
    said = capsys.readouterr()
    assert (
        message.replace("{}", str(logs)) in said.err
        and said.err.startswith("kerasgrad: ")
        and said.err.count("\n") == 1
        and not said.out
    )


def test_a_directory_of_runs_is_reported_run_by_run(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(logs)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 runs, ") and re.search(r"(?m)^ one .*\n two ", said)
    assert f"kerasgrad report {logs / 'one'} shows one of them" in said


class TestSummary:
    @pytest.fixture
    def many(self, logs: Path) -> Path:
        """Runs that are sick, well, damaged and without a sample, one in a numbered folder and one further down."""
        board.write(logs / "two" / "2" / "gradients", range(8), findings=[board.FINDING])
        board.write(logs / "deep" / "er" / "sick" / "gradients", range(12))
        file = next((logs / "deep" / "er" / "sick" / "gradients").iterdir())
        (logs / "cut" / "gradients").mkdir(parents=True)
        (logs / "cut" / "gradients" / file.name).write_bytes(file.read_bytes()[:200])
        return logs

    @pytest.fixture(autouse=True)
    def _judged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def look_back(run: Run) -> Diagnosis:
            sick = "sick" in str(run.facts["directory"])
            found = (
                [Finding(rule="dead_units", severity=Severity.WARNING, summary="They are.", starts_at="head")]
                if sick
                else []
            )
            return Diagnosis(tuple(found), {}, ("dead_units",), samples=len(run))

        monkeypatch.setattr("kerasgrad.monitoring.judge.look_back", look_back)

    def test_every_run_has_a_line_the_worst_first(self, many: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["summary", str(many), "--json"]) == 0
        lines = json.loads(capsys.readouterr().out)
        assert [line["run"] for line in lines] == ["deep/er/sick", "cut", "one", "two", "two/2"]
        assert (lines[0]["severity"], lines[0]["finding"], lines[0]["starts_at"]) == ("warning", "dead_units", "head")
        assert lines[1]["reason"] and not lines[2]["reason"] and lines[1]["loss"] is None
        run = Run.load(many / "one")
        assert lines[2]["loss"] == pytest.approx(float(run.overall("loss")[-1])) and lines[2]["steps"] == 8

    def test_as_text_and_as_csv(self, many: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["summary", str(many)]) == 0
        said = capsys.readouterr().out
        assert said.startswith("5 runs, 1 with warnings or errors") and "WARNING dead_units at head" in said
        assert "not judged: " in said and max(map(len, said.splitlines())) <= 118
        assert cli.main(["summary", str(many), "--csv"]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert [row["run"] for row in rows][:2] == ["deep/er/sick", "cut"] and rows[1]["loss"] == ""

    def test_of_one_run(self, logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["summary", str(logs / "one"), "--json"]) == 0
        assert [line["run"] for line in json.loads(capsys.readouterr().out)] == ["one"]


class TestExport:
    @pytest.mark.parametrize("words", [[], ["--long"], ["--wide"]])
    def test_csv_holds_every_number(self, logs: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
        pandas = pytest.importorskip("pandas")
        run, file = Run.load(logs / "one"), logs / "run.csv"
        assert cli.main(["export", str(logs / "one"), "--output", str(file), *words]) == 0
        table = pandas.read_csv(file)
        if words == ["--wide"]:
            found = table["layer/stem/signal_rms"]
            assert table["step"].tolist() == run.steps.tolist()
        else:
            chosen = table[(table["of"] == "layer") & (table["row"] == "stem") & (table["statistic"] == "signal_rms")]
            found = chosen["value"]
            assert tuple(table.columns) == export.LONG
        assert found.to_numpy("float32").tolist() == run.layer("signal_rms")["stem"].tolist()

    def test_what_was_not_measured_is_an_empty_cell_and_infinity_is_said(self, tmp_path: Path) -> None:
        run = Run(board.schema(("a,b", "c")))
        for step in range(3):
            run.append(board.sample(step, 2))
        run.table("signal_rms", "layer")[1] = np.nan, np.inf
        run.to_csv(tmp_path / "run.csv", wide=True)
        rows = list(csv.DictReader(io.StringIO((tmp_path / "run.csv").read_text(encoding="utf-8"))))
        assert [row["layer/a,b/signal_rms"] == "" for row in rows] == [False, True, False]
        assert rows[1]["layer/c/signal_rms"] == "inf"
        assert not [name for name in rows[0] if "saturated" in name], "never measured"

    def test_a_statistic_of_ones_own_is_in_it(self, tmp_path: Path) -> None:
        own = {"name": "skew", "of": "layer", "unit": "1", "formula": "E x^3", "scale": "linear", "group": "mine"}
        run = Run(dataclasses.replace(board.schema(("a", "b")), statistics=(own,)))
        run.append(board.sample(0, 2))
        run.table("skew", "layer")[:] = 0.5, 0.25
        run.to_csv(tmp_path / "run.csv", wide=True)
        (row,) = csv.DictReader(io.StringIO((tmp_path / "run.csv").read_text(encoding="utf-8")))
        assert (row["layer/a/skew"], row["layer/b/skew"]) == ("0.5", "0.25")

    def test_into_a_pipe(self, logs: Path) -> None:
        done = run("export", str(logs / "one"))
        assert done.stdout.splitlines()[0] == ",".join(export.LONG) and done.returncode == 0

    def test_parquet(self, logs: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        assert cli.main(["export", str(logs / "one"), "--format", "parquet", "-o", str(logs / "run.parquet"), "--wide"]) == 0
        read = parquet.read_table(logs / "run.parquet")
        assert read["layer/stem/signal_rms"].to_pylist() == Run.load(logs / "one").layer("signal_rms")["stem"].tolist()

    def test_parquet_without_its_library_says_what_to_install(
        self, logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        assert cli.main(["export", str(logs / "one"), "--format", "parquet", "-o", str(logs / "run.parquet")]) == 2
        assert "pip install pyarrow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("severity", "fail_on", "status"),
    [
        (Severity.WARNING, "warning", 1), (Severity.WARNING, "error", 0), (Severity.NOTE, "warning", 0),
        (Severity.NOTE, "note", 1), (Severity.ERROR, "never", 0), (Severity.ERROR, "warning", 1),
    ],
)  # fmt: skip
def test_fail_on(logs: Path, monkeypatch: pytest.MonkeyPatch, severity: Severity, fail_on: str, status: int) -> None:
    found = Diagnosis((Finding(rule="one", severity=severity, summary="It is."),), examined=("one",))
    monkeypatch.setattr("kerasgrad.monitoring.judge.look_back", lambda run: found)
    assert cli.main(["diagnose", str(logs / "one"), "--fail-on", fail_on]) == status


def test_what_no_rule_could_judge_is_no_success(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = Diagnosis((), {"dead_units": "there is no sample"})
    monkeypatch.setattr("kerasgrad.monitoring.judge.look_back", lambda run: nothing)
    assert cli.main(["diagnose", str(logs / "one")]) == 2
    said = capsys.readouterr()
    assert "no rule could judge that run" in said.err and "there is no sample" in said.out


def test_compare_takes_several_others(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board.write(logs / "three" / "gradients", range(8), seed=2)
    names = [str(logs / name) for name in ("one", "two", "three")]
    assert cli.main(["compare", *names]) == 0
    assert re.findall(r"(?m)^one at step 7 .* against (\w+) at step 7", capsys.readouterr().out) == ["two", "three"]
    assert cli.main(["compare", *names, "--json"]) == 0
    assert [one["other"]["name"] for one in json.loads(capsys.readouterr().out)] == ["two", "three"]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_report_into_a_file_of_any_encoding(logs: Path, encoding: str) -> None:
    board.write(logs / "odd" / "gradients", range(3), ("層", "\x1b[31mred\nline"))
    settings = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for words in (["report", str(logs / "odd")], ["diagnose", str(logs / "odd")], ["summary", str(logs)]):
        done = subprocess.run([sys.executable, "-m", "kerasgrad", *words], capture_output=True, env=settings, check=False)
        assert done.returncode == 0, done.stderr
        said = done.stdout.decode(encoding)
        assert "\x1b" not in said and ("█" in said) == (encoding == "utf-8" and words[0] != "summary")


def test_options_that_are_not_ours_go_to_tensorboard_and_to_nothing_else(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    class Board:
        def __init__(self, plugins: object) -> None:
            pass

        def configure(self, argv: list[str]) -> None:
            asked.append(argv)
            raise ValueError("enough")

    program = types.SimpleNamespace(TensorBoard=Board, TensorBoardServerException=OSError)
    default = types.SimpleNamespace(get_plugins=list)
    monkeypatch.setattr(cli.commands, "_tensorboard_modules", lambda: (default, program))
    given = ["--bind_all", "--samples_per_plugin", "kerasgrad=0", "--port", "7"]
    assert cli.main(["tensorboard", str(logs), *given]) == 2
    assert asked == [
        ["tensorboard", "--logdir", str(logs), "--port", "7", "--bind_all", "--samples_per_plugin", "kerasgrad=0"]
    ]
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(logs / "one"), "--bind_all"])
    assert ended.value.code == 2 and "--bind_all" in capsys.readouterr().err


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kerasgrad", *words], capture_output=True, text=True, check=False)


def test_reports_do_not_wait_for_tensorflow(logs: Path) -> None:
    look = (
        "import sys; from kerasgrad import cli; cli.main(sys.argv[1:]);"
        "print(sorted({'tensorflow', 'keras', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    one, two = str(logs / "one"), str(logs / "two")
    for words in (["report", one], ["report", one, "--html", f"{one}.html"], ["diagnose", one], ["compare", one, two]):
        done = subprocess.run([sys.executable, "-c", look, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


def test_as_a_module_and_into_a_pipe_that_closes(logs: Path) -> None:
    assert run("report", str(logs / "one")).stdout == repr(Run.load(logs / "one")) + "\n"
    assert run("nothing").returncode == 2
    shell = f"{sys.executable} -m kerasgrad report {logs / 'one'} | head -1"
    piped = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, check=False)
    assert piped.stdout.startswith("one:") and not piped.stderr


def test_tensorboard_opens_on_the_tab_and_ends_on_ctrl_c(logs: Path) -> None:
    # Tests that run in the background of a shell ignore Ctrl+C, and so would what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "kerasgrad", "tensorboard", str(logs), "--port", str(board.free_port())],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        url, _, fragment = address.partition("#")
        assert fragment == "kerasgrad"
        board.wait_for(lambda: set(board.listed(url.rstrip("/"))) == {"one/gradients", "two/gradients"})
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
