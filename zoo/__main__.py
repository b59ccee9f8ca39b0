"""`python -m zoo`: the zoo's command line."""

from __future__ import annotations

import argparse


def main(arguments: list[str] | None = None) -> None:
    """Runs one command.

    Args:
        arguments: the words after `python -m zoo`; those of the process if None.
    """
    parser = argparse.ArgumentParser(prog="python -m zoo", description="Models that learn, and their twins that cannot.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="train three nets on digits under the monitor and compare what each layer received"
    )
    demo.add_argument("--log-dir", default="logs/demo", help="where the runs go (default: %(default)s)")
    listed = commands.add_parser("list", help="the names of all models", epilog="example: python -m zoo list 'plain.*'")
    listed.add_argument("pattern", nargs="?", default="*", help="such as 'plain.*'")
    given = parser.parse_args(arguments)
    if given.command == "demo":
        from zoo.demo import demo as run

        run(given.log_dir)
    else:
        from zoo.registry import names, note

        for name in names(given.pattern):
            print(f"{name:20} {note(name)}")


if __name__ == "__main__":
    main()
