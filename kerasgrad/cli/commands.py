"""What each command does. Each imports what it needs when it runs, so that help and reports do not wait for TensorFlow."""

from __future__ import annotations

import json
import os
import sys
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasgrad.cli.places import one_run, runs_at
from kerasgrad.events.format import FOLDER

if TYPE_CHECKING:
    from kerasgrad.finding import Diagnosis
    from kerasgrad.views.comparison import Comparison
    from kerasgrad.views.summary import Line

GOOD, FOUND, WRONG = 0, 1, 2
"""Exit status: all well; a finding is as grave as `--fail-on` says; the command could not be carried out, or not judge."""

FAIL_ON = ("note", "warning", "error", "never")


def report(given: Namespace) -> int:
    """`kerasgrad report`: one run, or a line for each run of a directory."""
    from kerasgrad.monitoring.judge import look_back
    from kerasgrad.run import Run
    from kerasgrad.views import page, text

    found = runs_at(given.log_dir)
    if len(found) > 1 and given.html is None:
        say(_summary(_lines(given.log_dir, found)))
        say(f"\nkerasgrad report {found[0]} shows one of them.")
        return GOOD
    run = Run.load(one_run(given.log_dir))
    if given.html is None:
        text.show(run)
        return GOOD
    Path(given.html).write_text(page.page(run, look_back(run)), encoding="utf-8")
    say(f"{given.html}: {os.path.getsize(given.html) / 1e6:.1f} MB, opens in any browser, offline too")
    return GOOD


def summary(given: Namespace) -> int:
    """`kerasgrad summary`: a line for each run, the worst first."""
    from kerasgrad.views import summary as view

    lines = _lines(given.log_dir, runs_at(given.log_dir, every=True))
    if given.json:
        say(json.dumps([line.to_dict() for line in lines], indent=2, allow_nan=False))
    elif given.csv:
        say(view.to_csv(lines), end="")
    else:
        say(_summary(lines))
    return GOOD


def _lines(root: str, found: Sequence[str]) -> list[Line]:
    from kerasgrad.monitoring.judge import look_back
    from kerasgrad.run import Run
    from kerasgrad.views import summary as view

    lines = []
    for path in found:
        name = _short(path, root)
        try:
            run = Run.load(path)
        except (OSError, ValueError, KeyError) as error:
            lines.append(view.Line(name, reason=str(error)))
            continue
        lines.append(view.line(name, run, look_back(run)))
    return view.worst_first(lines)


def _short(path: str, root: str) -> str:
    """A run's name below the directory that was named."""
    if "://" in path:
        return path
    name = Path(os.path.relpath(path, root))
    name = name.parent if name.name == FOLDER else name
    return name.as_posix() if name.parts else Path(path).resolve().name


def _summary(lines: Sequence[Line]) -> str:
    from kerasgrad.views import summary as view

    return view.table(lines)


def export(given: Namespace) -> int:
    """`kerasgrad export`: a run as a table for other programs."""
    from kerasgrad.run import Run
    from kerasgrad.views import export as view

    run = Run.load(one_run(given.log_dir, role="RUN"))
    if given.format == "parquet":
        if given.output is None:
            raise ValueError("Parquet is no text: name a file. Received: no --output")
        view.to_parquet(run, given.output, wide=given.wide)
    elif given.output is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        view.write_csv(run, sys.stdout, wide=given.wide)
        return GOOD
    else:
        view.to_csv(run, given.output, wide=given.wide)
    say(f"{given.output}: {os.path.getsize(given.output) / 1e6:.1f} MB")
    return GOOD


def diagnose(given: Namespace) -> int:
    """`kerasgrad diagnose`: what is wrong; its exit status is for scripts."""
    from kerasgrad.monitoring.judge import look_back
    from kerasgrad.run import Run
    from kerasgrad.views import text

    run = Run.load(one_run(given.log_dir))
    diagnosis = look_back(run)
    if given.json:
        _print_json(diagnosis)
    else:
        text.show(run, diagnosis)
    if not diagnosis.examined and not diagnosis.findings:
        print("kerasgrad: no rule could judge that run; the report says why, rule by rule.", file=sys.stderr)
        return WRONG
    return _status(diagnosis, given.fail_on)


def _status(diagnosis: Diagnosis, fail_on: str) -> int:
    from kerasgrad.finding import Severity

    return FOUND if fail_on != "never" and diagnosis.of(Severity[fail_on.upper()]) else GOOD


def audit(given: Namespace) -> int:
    """`kerasgrad audit`: the checklist before training, of a saved model."""
    if not Path(given.model).is_file():
        raise ValueError(f"There is no such file. Received: MODEL.keras={given.model!r}")
    if Path(given.model).suffix == ".keras" and not zipfile.is_zipfile(given.model):
        raise ValueError(
            "That file is damaged, or is no model that Keras saved: a .keras file is a zip archive, and this is none. Save "
            f"it again with model.save. Received: MODEL.keras={given.model!r}"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from kerasgrad.probes import audit as examine

    with warnings.catch_warnings():
        # Keras' own remarks would stand between ours: on half-loaded optimizers, which do not matter, and on some faults.
        warnings.simplefilter("ignore")
        diagnosis = examine(_loaded(given.model), given.batch_size, sequence_length=given.sequence_length)
    if given.json:
        _print_json(diagnosis)
    else:
        say(str(diagnosis))
    return _status(diagnosis, given.fail_on)


def _loaded(path: str) -> Any:
    import keras

    try:
        return keras.models.load_model(path)
    except (TypeError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            "Keras cannot load that model; if it has layers of your own, call kerasgrad.audit(model) where they are "
            f"defined. Keras says: {said} Received: MODEL.keras={path!r}"
        ) from error


def compare(given: Namespace) -> int:
    """`kerasgrad compare`: where a run and others part."""
    from kerasgrad.views import comparison as view

    mine = one_run(given.log_dir)
    comparisons = [view.compare(mine, one_run(other, role="OTHER")) for other in given.others]
    if given.json:
        whole = [comparison.to_dict() for comparison in comparisons]
        say(json.dumps(whole[0] if len(whole) == 1 else whole, indent=2, allow_nan=False))
    else:
        say("\n\n".join(map(repr, comparisons)))
    return GOOD


def _print_json(result: Diagnosis | Comparison) -> None:
    say(json.dumps(result.to_dict(), indent=2, allow_nan=False))


def say(text: str, end: str = "\n") -> None:
    """Prints a report in whatever encoding the output has."""
    from kerasgrad.views.writing import encodable

    print(encodable(text, sys.stdout.encoding), end=end)


def tensorboard(given: Namespace) -> int:
    """`kerasgrad tensorboard`: TensorBoard, on the tab; options that are not ours are handed on to it."""
    if "://" not in given.log_dir and not Path(given.log_dir).is_dir():
        raise ValueError(f"That directory does not exist. Received: LOGDIR={given.log_dir!r}")
    import threading

    default, program = _tensorboard_modules()
    from kerasgrad.plugin import Loader

    plugins = default.get_plugins()
    if Loader not in plugins:  # a checkout that was not installed has no entry point
        plugins.append(Loader)
    board = program.TensorBoard(plugins=plugins)
    settings = ["--logdir", given.log_dir]
    settings += [] if given.port is None else ["--port", str(given.port)]
    settings += [] if given.host is None else ["--host", given.host]
    try:
        board.configure(argv=["tensorboard", *settings, *given.handed_on])
        url = board.launch()
    except program.TensorBoardServerException as error:
        raise OSError(error.msg) from error
    print(f"{url}#kerasgrad   (Ctrl+C ends it)", flush=True)
    threading.Event().wait()
    return GOOD


def _tensorboard_modules() -> tuple[Any, Any]:
    try:
        from tensorboard import default, program
    except ModuleNotFoundError as error:
        if error.name != "pkg_resources":
            raise
        raise ValueError(
            "This TensorBoard does not start: it imports pkg_resources, which setuptools 82 no longer has. "
            "pip install 'setuptools<82'"
        ) from error
    return default, program
