"""Claim: programs that nobody here had seen are judged rightly at first sight.

    python benchmarks/programs_first_sight.py run 1     # trains what is not in logs/programs yet
    python benchmarks/programs_first_sight.py judge 1   # writes programs/round_1.md

The programs of `programs/round_*.py` were written, with what is right to say of them, by somebody who had not read how the
rules work. A sick one counts if its score stays below 90 % of its mended twin's gain over a constant prediction, or is not
finite. *Found*: a warning at the end. *Among*: one of the warnings is a right answer. *First*: the first one is. A sound
program is alarmed of if a warning is there at the end, or was at any time. A round is scored once, before anything changes.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import importlib
import json
import logging
import math
import sys
import zlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHARE = 0.9
FIRST = 2
"""Remedies of a warning that count as its first ones."""
AGAIN, AT_ONCE = 3, 20
"""Exit status that asks to be started again, and programs in one process."""
Z = 1.96
"""Of the 95 % interval."""


def _programs(round_: str) -> tuple[dict[str, Any], dict[str, Any]]:
    from programs import common

    faulty = importlib.import_module(f"programs.round_{round_}_faulty")
    importlib.import_module(f"programs.round_{round_}_sound")
    return common.REG, faulty.ACCEPT


def _results(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def run_all(round_: str, file: Path) -> bool:
    """Trains what is not in the file yet; false if there is more."""
    registry, _ = _programs(round_)
    logging.getLogger("kerasgrad").setLevel(logging.CRITICAL)
    done = {(r["name"], r["variant"]) for r in _results(file)}
    jobs = [(n, v) for n, (kind, *_) in registry.items() for v in (("faulty", "twin") if kind == "sick" else ("sound",))]
    for count, (name, variant) in enumerate(job for job in jobs if job not in done):
        if count >= AT_ONCE:
            return False
        with file.open("a") as out:
            out.write(json.dumps(result := _trained(name, variant, registry[name][2])) + "\n")
        print(name, variant, result.get("gain"), result["warnings"], flush=True)
    return True


def _trained(name: str, variant: str, train: Any) -> dict[str, Any]:
    import keras

    import kerasgrad

    keras.backend.clear_session()
    keras.mixed_precision.set_global_policy("float32")
    keras.utils.set_random_seed(zlib.crc32(name.encode()) % 9973)
    raised: list[Any] = []
    monitor = kerasgrad.GradientMonitor(verbose=0, on_finding=raised.append)
    result: dict[str, Any] = {"name": name, "variant": variant}
    try:
        gain = train([monitor]) if variant == "sound" else train([monitor], variant == "twin")
        result["gain"] = round(float(gain), 4) if math.isfinite(gain) else None
    except Exception as error:
        result["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    held = [f for f in monitor.diagnosis if f.withdrawn is None]
    result["warnings"] = [[f.rule, *f.remedies[:FIRST]] for f in held if f.severity >= 2]
    result["notes"] = [f.rule for f in held if f.severity < 2]
    result["ever"] = sorted({f.rule for f in raised if f.severity >= 2})
    return result


def interval(hits: int, of: int) -> str:
    """Share and its Wilson interval."""
    if not of:
        return "none"
    share, spread = hits / of, Z**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return (
        f"{hits} of {of} = {100 * share:.0f} % ({100 * max(0.0, middle - half):.0f} to {100 * min(1.0, middle + half):.0f})"
    )


def _right(warning: list[str], accepted: tuple[str, ...]) -> bool:
    rule, *remedies = warning
    return any(rule == a or (a.startswith(": ") and a[2:] in remedies) for a in accepted)


def _is_sick(faulty: dict[str, Any], twin: dict[str, Any]) -> bool:
    return faulty.get("gain") is None or faulty["gain"] < SHARE * twin["gain"]


def judge(round_: str, file: Path) -> str:
    """The figures and the table, as Markdown."""
    registry, accept = _programs(round_)
    results = {(r["name"], r["variant"]): r for r in _results(file)}
    rows, left_out = {"faulty": [], "twin": [], "sound": []}, []
    for (name, variant), r in results.items():
        twin = results.get((name, "twin"))
        if "error" in r or (variant == "faulty" and not (twin and "error" not in twin and _is_sick(r, twin))):
            left_out.append(f"{name} ({variant}: {r.get('error', 'not sick, or its twin is not sound')})")
            continue
        rows[variant].append(r)
    right = {r["name"]: [_right(w, accept[r["name"]]["rules"]) for w in r["warnings"]] for r in rows["faulty"]}
    n = len(rows["faulty"])
    lines = [f"# Round {round_}, at first sight", "", "| | 95 % interval in brackets |", "|---|---|"]
    lines += [f"| sick: found | {interval(sum(map(bool, right.values())), n)} |"]
    lines += [f"| sick: the cause among the warnings | {interval(sum(map(any, right.values())), n)} |"]
    lines += [f"| sick: the cause named first | {interval(sum(bool(r and r[0]) for r in right.values()), n)} |"]
    for kind, what in (("sound", "sound"), ("twin", "mended twins")):
        for key, when in (("warnings", "at the end"), ("ever", "at any time")):
            lines += [f"| {what}: alarms {when} | {interval(sum(bool(r[key]) for r in rows[kind]), len(rows[kind]))} |"]
    lines += [
        "",
        "| sick program | fault | gain, twin's | warnings, in their order | right answers | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows["faulty"]:
        hits, twin = right[r["name"]], results[r["name"], "twin"]
        verdict = "missed" if not hits else "first" if hits[0] else "among them" if any(hits) else "something else"
        said = "; ".join(f"{w[0]} ({', '.join(w[1:])})" for w in r["warnings"]) or "nothing"
        answers = f"{', '.join(accept[r['name']]['rules'])} ({'; '.join(accept[r['name']]['words'])})"
        lines += [
            f"| {r['name'][2:]} | {registry[r['name']][1]} | {r['gain']}, {twin['gain']} | {said} | {answers} | {verdict} |"
        ]
    lines += ["", "| sound program or twin | gain | at the end | at any time |", "|---|---|---|---|"]
    for r in [*rows["sound"], *rows["twin"]]:
        name = r["name"][2:] + (", mended" if r["variant"] == "twin" else "")
        lines += [f"| {name} | {r['gain']} | {', '.join(w[0] for w in r['warnings'])} | {', '.join(r['ever'])} |"]
    lines += ["", f"Left out: {'; '.join(left_out) or 'none'}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "judge"])
    parser.add_argument("round")
    given = parser.parse_args()
    results = Path(f"logs/programs/round_{given.round}.jsonl")
    results.parent.mkdir(parents=True, exist_ok=True)
    if given.command == "run":
        sys.exit(0 if run_all(given.round, results) else AGAIN)
    text = judge(given.round, results)
    (HERE / "programs" / f"round_{given.round}.md").write_text(text)
    print(text)
