"""The command line: `kerasgrad report | summary | compare | diagnose | export | audit | tensorboard | zoo`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kerasgrad.cli import baselines, commands
from kerasgrad.cli.commands import FAIL_ON, GOOD, WRONG
from kerasgrad.version import __version__

COMMANDS = ("report", "summary", "compare", "diagnose", "export", "audit", "tensorboard", "zoo")

_EXAMPLES = """examples:
  kerasgrad report logs/mine                       what every layer received, in the terminal
  kerasgrad report logs/mine --html report.html    the same as one page to send to somebody
  kerasgrad summary logs                           all runs, one line each, the worst first
  kerasgrad compare logs/mine logs/other           where two runs part, layer by layer
  kerasgrad diagnose logs/mine --json              findings, for a script; exit status 1 if one is an error
  kerasgrad diagnose logs/mine --fail-on warning   the same for CI, where a warning is enough
  kerasgrad export logs/mine --output run.csv      all numbers, for other programs
  kerasgrad audit model.keras --batch-size 32      the checklist before training, of a saved model
  kerasgrad tensorboard logs                       TensorBoard, open on the Gradient Flow tab
  kerasgrad zoo place plain.relu logs              a recorded baseline beside one's own runs

exit status: 0 all well, 1 there is a finding that is an error (or what --fail-on says), 2 the command could not be
carried out, or no rule could judge the run"""

_RUN = "what was given to GradientMonitor"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: the words after `kerasgrad`; those of the process if None.

    Returns:
        The exit status.
    """
    known = parser()
    given, unknown = known.parse_known_args(arguments)
    if unknown and not hasattr(given, "handed_on"):
        known.error(f"unrecognized arguments: {' '.join(unknown)}")
    given.handed_on = unknown
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except BrokenPipeError:
        # Whoever read the output has enough of it, such as `head`; Python would complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except (OSError, ValueError, KeyError, ImportError) as error:
        # A KeyError's own text is the representation of its message.
        _complain(str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error))
        return WRONG
    except KeyboardInterrupt:
        return 130  # what a shell expects of a program that was interrupted


def _complain(text: str) -> None:
    from kerasgrad.views.writing import encodable, printable

    print(encodable(f"kerasgrad: {printable(text)}", sys.stderr.encoding), file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The words that it understands."""
    form: Any = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(
        prog="kerasgrad", description="What the layers of a Keras model receive while it trains.", epilog=_EXAMPLES,
        formatter_class=form,
    )  # fmt: skip
    whole.add_argument("--version", action="version", version=f"kerasgrad {__version__}")
    known = whole.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, text: str, example: str) -> argparse.ArgumentParser:
        made = known.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"example: {example}", formatter_class=form
        )
        made.set_defaults(command=baselines.zoo if name == "zoo" else getattr(commands, name))
        return made

    judge = add("diagnose", "what is wrong, since when, and what to change", "kerasgrad diagnose logs/mine")
    judge.add_argument("log_dir", metavar="LOGDIR", help=_RUN)
    judge.add_argument("--json", action="store_true", help="as JSON, for a script")
    _add_fail_on(judge)
    report = add("report", "what every layer received", "kerasgrad report logs/mine --html report.html")
    report.add_argument("log_dir", metavar="LOGDIR", help=f"{_RUN}; of a directory of runs, a line for each")
    report.add_argument("--html", metavar="FILE", help="write one self-contained page instead of text")
    listed = add("summary", "all runs of a directory, one line each, the worst first", "kerasgrad summary logs --csv")
    listed.add_argument("log_dir", metavar="LOGDIR", help="a directory of runs")
    form_of = listed.add_mutually_exclusive_group()
    form_of.add_argument("--json", action="store_true", help="as JSON, for a script")
    form_of.add_argument("--csv", action="store_true", help="as CSV, for a spreadsheet")
    compare = add("compare", "where two runs part, layer by layer", "kerasgrad compare logs/mine logs/other")
    compare.add_argument("log_dir", metavar="LOGDIR", help=_RUN)
    compare.add_argument(
        "others", metavar="OTHER", nargs="+", help="another, such as a baseline that `python -m zoo place` put there"
    )
    compare.add_argument("--json", action="store_true", help="as JSON, for a script")
    _add_export(add("export", "all numbers of a run, for other programs", "kerasgrad export logs/mine --output run.csv"))
    check = add("audit", "the checklist before training", "kerasgrad audit model.keras --batch-size 32")
    check.add_argument("model", metavar="MODEL.keras", help="a saved model, best with its compile settings")
    check.add_argument("--batch-size", type=int, help="examples in a step, for what depends on it")
    check.add_argument("--sequence-length", type=int, help="time steps, where the model leaves them open")
    check.add_argument("--json", action="store_true", help="as JSON, for a script")
    _add_fail_on(check)
    board = add("tensorboard", "start TensorBoard on the Gradient Flow tab", "kerasgrad tensorboard logs --bind_all")
    board.set_defaults(handed_on=[])
    board.allow_abbrev = False  # an option of TensorBoard is not to be taken for the beginning of one of ours
    board.add_argument("log_dir", metavar="LOGDIR", help="a directory of runs")
    board.add_argument("--port", type=int, help="its port; 6006 or the next free one if not given")
    board.add_argument("--host", help="the address it listens on; this machine only if not given")
    board.description = f"{board.description} All other options are handed on to TensorBoard."
    kept = add("zoo", "models, recorded baselines and trainings to compare with", "kerasgrad zoo list --recipes")
    kept.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="WORDS", help="as after python -m zoo: list, place, train ..."
    )
    return whole


def _add_fail_on(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--fail-on", choices=FAIL_ON, default="error", metavar="SEVERITY",
        help="exit with 1 from this severity on: note, warning, error (the default) or never",
    )  # fmt: skip


def _add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("log_dir", metavar="RUN", help=_RUN)
    command.add_argument("--format", choices=("csv", "parquet"), default="csv", help="csv if not given")
    command.add_argument("--output", "-o", metavar="FILE", help="where to; CSV goes to standard output if not given")
    shape = command.add_mutually_exclusive_group()
    shape.add_argument("--long", dest="wide", action="store_false", help="one number a line (the default)")
    shape.add_argument("--wide", dest="wide", action="store_true", help="one step a line, a column for each number")
    command.set_defaults(wide=False)
