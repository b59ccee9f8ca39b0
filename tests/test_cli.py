"""The command line: what it prints, how it fails, its exit status, and that it does not wait for TensorFlow."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import board
import pytest

from kerasgrad import audit, cli, rules
from kerasgrad.finding import Diagnosis, Finding, Severity
from kerasgrad.run import Run
from kerasgrad.version import __version__


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
    (tmp_path / "no.keras").write_bytes(b"nothing")
    assert cli.main(["audit", str(tmp_path / "no.keras")]) == 2
    assert "Keras cannot load that model" in capsys.readouterr().err
    assert cli.main(["audit", str(tmp_path / "nothing.keras")]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "{}"], "There are runs in"),
        (["report", "{}/nothing"], "No run of kerasgrad in that directory"),
        (["compare", "{}/one", "{}/one"], "takes two runs"),
        (["report", "{}/one", "--html", "{}/no/such/folder/x.html"], "No such file or directory"),
        (["tensorboard", "{}/nothing"], "There is no such directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    logs: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert cli.main([word.format(logs) for word in words]) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.startswith("kerasgrad: ") and said.err.count("\n") == 1 and not said.out


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
