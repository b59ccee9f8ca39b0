"""`python -m zoo`: the zoo's command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> None:
    """Runs one command.

    Args:
        arguments: the words after `python -m zoo`; those of the process if None.
    """
    given = _parser().parse_args(arguments)
    try:
        globals()[f"_{given.command}"](given)
    except BrokenPipeError:
        # Whoever read the output has enough of it, such as `head`; Python would complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (KeyError, FileNotFoundError) as error:  # a slip of the pen, or data that is not there: the message says it all
        sys.exit(str(error.args[0] if isinstance(error, KeyError) else error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m zoo", description="Models that learn, and their twins that cannot.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="train three nets on digits under the monitor and compare what each layer received"
    )
    demo.add_argument("--log-dir", default="logs/demo", help="where the runs go (default: %(default)s)")
    listed = commands.add_parser(
        "list", help="the names of all models, or of all trainings (recipes)", epilog="example: python -m zoo list 'plain.*'"
    )
    listed.add_argument("pattern", nargs="?", default="*", help="such as 'plain.*'")
    listed.add_argument("--recipes", action="store_true", help="the trainings, with those that are recorded marked")
    place = commands.add_parser("place", help="put a recorded baseline beside one's own runs, for TensorBoard")
    place.add_argument("name", help="of a baseline: `list --recipes` shows which there are")
    place.add_argument("log_dir", nargs="?", default="logs", help="of one's own runs (default: %(default)s)")
    record = commands.add_parser(
        "record", help="train recipes and keep their baselines", epilog="example: python -m zoo record plain.relu 'gru.*'"
    )
    record.add_argument("names", nargs="+", metavar="NAME", help="of recipes, or patterns: '*' is all of them")
    record.add_argument("--folder", help="where the baselines go (default: into the zoo)")
    record.add_argument("--missing", action="store_true", help="leave out those that are there, to go on after a break")
    train = commands.add_parser(
        "train", help="train for real, with checkpoints; once more goes on after a break",
        epilog="example: python -m zoo train resnet.cifar10; without names it lists the trainings",
    )  # fmt: skip
    train.add_argument("names", nargs="*", metavar="NAME", help="of trainings, or patterns: '*' is all of them")
    train.add_argument("--folder", help="of checkpoints and records (default: KERASGRAD_CHECKPOINTS, or the user's cache)")
    train.add_argument("--seed", type=int, help="only this one; all that the recipe names if not given")
    train.add_argument("--anew", action="store_true", help="forget what was trained before, instead of going on with it")
    train.add_argument("--threads", type=int, help="processors to use (default: all)")
    train.add_argument(
        "--queue",
        action="store_true",
        help="all that is not finished, at the lowest priority; a file PAUSE there holds it up",
    )
    keep = commands.add_parser("keep", help="take finished trainings into the zoo: curves, scores, half-precision weights")
    keep.add_argument("names", nargs="*", metavar="NAME", help="of trainings, or patterns (default: all)")
    keep.add_argument("--folder", help="of checkpoints and records, as for train")
    commands.add_parser("table", help="write the tables of baselines and trainings into zoo/README.md")
    return parser


def _demo(given: argparse.Namespace) -> None:
    from zoo.demo import demo

    demo(given.log_dir)


def _list(given: argparse.Namespace) -> None:
    from zoo.baselines import baseline_names
    from zoo.nearest import unknown
    from zoo.recipes import recipe, recipe_names
    from zoo.registry import names, note

    kind, all_names = ("recipe", recipe_names) if given.recipes else ("model", names)
    found, recorded = all_names(given.pattern), baseline_names()
    if not found:
        raise unknown(kind, given.pattern, all_names())
    for name in found:
        if given.recipes:
            made = recipe(name)
            print(f"{name:36} {'recorded' if name in recorded else '':9} {made.model} on {made.task}, {made.steps:,} steps")
        else:
            print(f"{name:34} {note(name)}")


def _place(given: argparse.Namespace) -> None:
    from zoo.baselines import place

    print(f"{place(given.name, given.log_dir)}\nLook at it with:  tensorboard --logdir {given.log_dir}")


def _record(given: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from zoo.baselines import FACTS, FOLDER
    from zoo.recipes import recipe, recipe_names

    folder = Path(given.folder or FOLDER)
    names = list(dict.fromkeys(name for pattern in given.names for name in recipe_names(pattern) or [pattern]))
    for name in names:
        recipe(name)  # all slips of the pen before any training
    from zoo.recording import record

    for name in names:
        if not (given.missing and (folder / name / FACTS).is_file()):
            print(f"{name}: {recipe(name).model} on {recipe(name).task}", flush=True)
            bar = 1 if sys.stdout.isatty() else 2  # in a log it would be a line for each step
            print(record(name, folder, verbose=bar), flush=True)


def _train(given: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from zoo.training import command

    if not given.names and not given.queue:
        print(command.listed(command.where(given.folder)))
    elif given.queue:
        command.queue(given.names or ["*"], command.where(given.folder), threads=given.threads)
    else:
        command.train(given.names, command.where(given.folder), seed=given.seed, anew=given.anew, threads=given.threads)


def _keep(given: argparse.Namespace) -> None:
    from zoo.training import command

    print(command.keep(given.names or ["*"], command.where(given.folder)))


def _table(given: argparse.Namespace) -> None:
    from zoo.table import README, write

    write()
    print(README)


if __name__ == "__main__":
    main()
