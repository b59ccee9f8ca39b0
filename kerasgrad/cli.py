"""The command line: `kerasgrad report | compare | diagnose | audit | tensorboard | zoo`.

Each command imports what it needs when it runs, so that help and reports do not wait for TensorFlow.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasgrad.version import __version__

if TYPE_CHECKING:
    from kerasgrad.finding import Diagnosis
    from kerasgrad.views.comparison import Comparison

GOOD, FOUND, WRONG = 0, 1, 2
"""Exit status: all well; the diagnosis or audit has an error; the command could not be carried out."""

COMMANDS = ("report", "compare", "diagnose", "audit", "tensorboard", "zoo")

BASELINES = "kerasgrad.baselines"
"""Entry points of this group are command lines that come with baselines; `zoo` is the package of this distribution."""

_EXAMPLES = """examples:
  kerasgrad report logs/mine                      what every layer received, in the terminal
  kerasgrad report logs/mine --html report.html   the same as one page to send to somebody
  kerasgrad compare logs/mine logs/other          where two runs part, layer by layer
  kerasgrad diagnose logs/mine --json             findings, for a script; exit status 1 if one is an error
  kerasgrad audit model.keras --batch-size 32     the checklist before training, of a saved model
  kerasgrad tensorboard logs                      TensorBoard, open on the Gradient Flow tab
  kerasgrad zoo place plain.relu logs             a recorded baseline beside one's own runs

exit status: 0 all well, 1 there is a finding that is an error, 2 the command could not be carried out"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the words after `kerasgrad`; those of the process if None.

    Returns:
        The exit status.
    """
    given = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except BrokenPipeError:
        # Whoever read the output has enough of it, such as `head`; Python would complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except (OSError, ValueError, KeyError) as error:
        # A KeyError's own text is the representation of its message.
        print(f"kerasgrad: {error.args[0] if isinstance(error, KeyError) and error.args else error}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return 130  # what a shell expects of a program that was interrupted


def parser() -> argparse.ArgumentParser:
    """The words that it understands."""
    form: Any = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(
        prog="kerasgrad", description="What the layers of a Keras model receive while it trains.", epilog=_EXAMPLES,
        formatter_class=form,
    )  # fmt: skip
    whole.add_argument("--version", action="version", version=f"kerasgrad {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str, example: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"example: {example}", formatter_class=form
        )
        made.set_defaults(command=command)
        return made

    judge = add("diagnose", _diagnose, "what is wrong, since when, and what to change", "kerasgrad diagnose logs/mine")
    judge.add_argument("log_dir", metavar="LOGDIR", help="what was given to GradientMonitor")
    judge.add_argument("--json", action="store_true", help="as JSON, for a script")
    report = add("report", _report, "what every layer received", "kerasgrad report logs/mine --html report.html")
    report.add_argument("log_dir", metavar="LOGDIR", help="what was given to GradientMonitor")
    report.add_argument("--html", metavar="FILE", help="write one self-contained page instead of text")
    compare = add("compare", _compare, "where two runs part, layer by layer", "kerasgrad compare logs/mine logs/other")
    compare.add_argument("log_dir", metavar="LOGDIR", help="what was given to GradientMonitor")
    compare.add_argument("other", metavar="OTHER", help="another, such as a baseline that `python -m zoo place` put there")
    compare.add_argument("--json", action="store_true", help="as JSON, for a script")
    check = add("audit", _audit, "the checklist before training", "kerasgrad audit model.keras --batch-size 32")
    check.add_argument("model", metavar="MODEL.keras", help="a saved model, best with its compile settings")
    check.add_argument("--batch-size", type=int, help="examples in a step, for what depends on it")
    check.add_argument("--sequence-length", type=int, help="time steps, where the model leaves them open")
    check.add_argument("--json", action="store_true", help="as JSON, for a script")
    board = add("tensorboard", _tensorboard, "start TensorBoard on the Gradient Flow tab", "kerasgrad tensorboard logs")
    board.add_argument("log_dir", metavar="LOGDIR", help="a directory of runs")
    board.add_argument("--port", type=int, help="its port; 6006 or the next free one if not given")
    board.add_argument("--host", help="the address it listens on; this machine only if not given")
    kept = add("zoo", _zoo, "models, recorded baselines and trainings to compare with", "kerasgrad zoo list --recipes")
    kept.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="WORDS", help="as after python -m zoo: list, place, train ..."
    )
    return whole


def _report(given: argparse.Namespace) -> int:
    from kerasgrad.monitoring.judge import look_back
    from kerasgrad.run import Run
    from kerasgrad.views import page, text

    run = Run.load(given.log_dir)
    if given.html is None:
        text.show(run)
        return GOOD
    Path(given.html).write_text(page.page(run, look_back(run)), encoding="utf-8")
    print(f"{given.html}: {os.path.getsize(given.html) / 1e6:.1f} MB, opens in any browser, offline too")
    return GOOD


def _diagnose(given: argparse.Namespace) -> int:
    from kerasgrad.finding import Severity
    from kerasgrad.monitoring.judge import look_back
    from kerasgrad.run import Run
    from kerasgrad.views import text

    run = Run.load(given.log_dir)
    diagnosis = look_back(run)
    if given.json:
        _print_json(diagnosis)
    else:
        text.show(run, diagnosis)
    return FOUND if diagnosis.of(Severity.ERROR) else GOOD


def _print_json(result: Diagnosis | Comparison) -> None:
    print(json.dumps(result.to_dict(), indent=2, allow_nan=False))


def _audit(given: argparse.Namespace) -> int:
    if not Path(given.model).is_file():
        raise ValueError(f"There is no such file. Received: MODEL.keras={given.model!r}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from kerasgrad.finding import Severity
    from kerasgrad.probes import audit

    with warnings.catch_warnings():
        # Keras' own remarks would stand between ours: on half-loaded optimizers, which do not matter, and on some faults.
        warnings.simplefilter("ignore")
        diagnosis = audit(_loaded(given.model), given.batch_size, sequence_length=given.sequence_length)
    if given.json:
        _print_json(diagnosis)
    else:
        print(diagnosis)
    return FOUND if diagnosis.of(Severity.ERROR) else GOOD


def _loaded(path: str) -> Any:
    import keras

    try:
        return keras.models.load_model(path)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Keras cannot load that model; if it has layers of your own, call kerasgrad.audit(model) where they are "
            f"defined. Keras says: {str(error).splitlines()[0]} Received: MODEL.keras={path!r}"
        ) from error


def _compare(given: argparse.Namespace) -> int:
    from kerasgrad.views.comparison import compare

    comparison = compare(given.log_dir, given.other)
    if given.json:
        _print_json(comparison)
    else:
        print(comparison)
    return GOOD


def _tensorboard(given: argparse.Namespace) -> int:
    if not Path(given.log_dir).is_dir():
        raise ValueError(f"There is no such directory. Received: LOGDIR={given.log_dir!r}")
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
        board.configure(argv=["tensorboard", *settings])
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


def _zoo(given: argparse.Namespace) -> int:
    """Hands the words to the zoo's own command line, which is found by name, since the zoo stands above this package."""
    spec, ours = importlib.util.find_spec("zoo"), Path(__file__).parents[1] / "zoo" / "__init__.py"
    if spec is not None and ours.is_file() and (spec.origin is None or not ours.samefile(spec.origin)):
        found = spec.origin or list(spec.submodule_search_locations or ())
        raise ValueError(
            f"A `zoo` of your own hides the one that comes with kerasgrad. Rename it, or work in another folder. "
            f"Received: {found}"
        )
    doors = importlib.metadata.entry_points(group=BASELINES, name="zoo")
    if spec is None or not doors:
        raise ValueError(f"The zoo is not installed: pip install kerasgrad. Received: no entry point zoo in {BASELINES}")
    try:
        next(iter(doors)).load()(given.words)
    except SystemExit as ended:
        if isinstance(ended.code, str):  # what it has to say about a slip of the pen
            raise ValueError(ended.code) from ended
        return int(ended.code or GOOD)
    return GOOD
