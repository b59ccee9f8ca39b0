"""Claim: Keras programs as other people write them are judged rightly too.

    python benchmarks/programs_of_others.py run        # trains what is not in logs/programs yet; 15 minutes on two cores
    python benchmarks/programs_of_others.py            # judges what is there, writes JSON and the README's part

The programs of `programs/` were written by somebody who had read neither the rules nor the other benchmark: faulty ones
with their mended twins, and sound ones. A faulty one counts as sick if its score stays below 90 % of its twin's gain over a
constant prediction, or is not finite. What is said of it is *right* if a warning names the fault, or what follows from it at
once, and its first remedies would help (`RIGHT`); *unspecific* if there is some other warning. The data are those of
`KERASGRAD_DATA`.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import json
import logging
import math
import sys
import zlib
from pathlib import Path
from typing import Any

from published import publish

SHARE = 0.9
FIRST = 2
"""Remedies of a warning that count as its first ones."""
AGAIN, AT_ONCE = 3, 30
"""Exit status that asks to be started again, and programs in one process: TensorFlow keeps what it ever traced."""
SYMPTOMS = ("plateau", "loss_not_decreasing")

RIGHT: dict[str, tuple[str, ...]] = {
    "adam_lr03_cnn": ("rate_too_high",), "adam_lr1e7": ("rate_too_low",), "ae_unscaled": ("last_activation",),
    "bc_raw_sigmoid": ("unscaled_inputs",), "bce_linear": ("last_activation",), "bce_tanh": ("last_activation",),
    "bias_minus5": ("dead_units",), "big_init": ("exploding_activation", "exploding_gradient"),
    "bn_batch1": ("small_batch",), "bn_batch2": ("small_batch",), "bn_momentum": ("overfitting: lower_batchnorm_momentum",),
    "bottleneck": ("dead_units",), "cce_one_unit": ("last_activation",), "clipnorm": ("clipping_always",),
    "decay_fast": ("rate_too_low",), "deep_sigmoid": ("vanishing_gradient",), "double_softmax": ("last_activation",),
    "deep_tanh_small": ("collapsing_activation", "vanishing_gradient"), "dollars_adam": (": scale_targets",),
    "dropout95": (": lower_dropout",), "ids_dense": ("unscaled_inputs",), "l2_one": ("shrinking_weights",),
    "labels_off": ("non_finite: check_labels",),
    "linear_circles": (": use_relu",), "log0_custom": ("non_finite: guard_logarithms",),
    "logits_missing": ("last_activation",),
    "lstm_level": ("unscaled_inputs", ": scale_targets"), "mnist_255_sgd": ("unscaled_inputs",),
    "nan_data": ("non_finite: check_inputs",), "ones_init": ("exploding_activation",), "plateau_min": ("rate_too_low",),
    "poisson_linear": ("last_activation", "non_finite: guard_logarithms"), "rec_l2": ("shrinking_weights",),
    "post_padding": ("short_memory", ": shorten_sequences"), "rec_sigmoid": ("last_activation",),
    "reg_relu_out": ("last_activation",), "reg_sigmoid_out": ("last_activation",), "rescaled_twice": ("unscaled_inputs",),
    "reshape_mix": (": check_labels",), "rnn_explode": ("exploding_activation", "exploding_gradient"),
    "rnn_long": ("short_memory", ": use_lstm", ": shorten_sequences"), "round_cut": ("disconnected",),
    "sgd_lr5": ("rate_too_high",), "shuffled_labels": (": check_labels", "overfitting"), "softmax1": ("last_activation",),
    "softmax_hidden": ("vanishing_gradient",), "stop_gradient": ("disconnected",), "train_step_last": ("disconnected",),
    "sum_loss": ("rate_too_high", "exploding_gradient"), "transformer_lr": ("rate_too_high",),
    "warmup_zero": ("rate_too_low",), "weight_decay": ("shrinking_weights",), "zero_init": ("collapsing_activation",),
}  # fmt: skip
"""By faulty program what is right to say: a rule, a rule with a remedy, or a remedy of a symptom. None for those that a rule
cannot tell, such as data sorted by class."""


def run_all(file: Path) -> bool:
    """Trains what is not in the file yet; false if there is more."""
    import keras
    from programs import common, faulty, sound

    import kerasgrad

    logging.getLogger("kerasgrad").setLevel(logging.CRITICAL)
    done = {(r["name"], r["variant"]) for r in _results(file)}
    assert faulty and sound, "they register themselves"
    jobs = [(n, v) for n, (kind, *_) in common.REG.items() for v in (("faulty", "twin") if kind == "sick" else ("sound",))]
    for count, (name, variant) in enumerate(job for job in jobs if job not in done):
        if count >= AT_ONCE:
            return False
        keras.backend.clear_session()
        keras.mixed_precision.set_global_policy("float32")
        keras.utils.set_random_seed(zlib.crc32(name.encode()) % 9973)
        monitor, result = kerasgrad.GradientMonitor(verbose=0), {"name": name, "variant": variant}
        train = common.REG[name][2]
        try:
            gain = train([monitor]) if variant == "sound" else train([monitor], variant == "twin")
            result["gain"] = round(float(gain), 4) if math.isfinite(gain) else None
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {str(error)[:200]}"
        found = [f for f in monitor.diagnosis if f.withdrawn is None]
        result["warnings"] = [[f.rule, *f.remedies[:FIRST]] for f in found if f.severity >= 2]
        result["notes"] = [f.rule for f in found if f.severity < 2]
        with file.open("a") as out:
            out.write(json.dumps(result) + "\n")
        print(name, variant, result.get("gain"), result["warnings"], flush=True)
    return True


def _results(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def label(faulty: dict[str, Any], twin: dict[str, Any] | None) -> str:
    """What became of a faulty program: `"sick"`, or why it does not count."""
    if "error" in faulty:
        return "Keras itself ends it"
    if twin is None or twin.get("gain") is None:
        return "its twin does not run"
    if faulty["gain"] is None:
        return "sick"
    return "sick" if faulty["gain"] < SHARE * twin["gain"] else "harmless"


def verdict(name: str, warnings: list[list[str]]) -> str:
    """Whether what was said of a sick program is right, unspecific, or nothing."""
    for rule, *remedies in warnings:
        for wanted in RIGHT.get(name, ()):
            which, _, remedy = wanted.partition(": ")
            if (rule == which or (not which and rule in SYMPTOMS)) and (not remedy or remedy in remedies):
                return "right"
    return "unspecific" if warnings else "missed"


def judge(file: Path) -> None:
    """Counts, prints the tables and writes them."""
    results = {(r["name"], r["variant"]): r for r in _results(file)}
    said: dict[str, list[str]] = {"right": [], "unspecific": [], "missed": []}
    left_out: dict[str, list[str]] = {}
    for (name, variant), result in results.items():
        if variant == "faulty":
            short, state = name.removeprefix("f_"), label(result, results.get((name, "twin")))
            (said[verdict(short, result["warnings"])] if state == "sick" else left_out.setdefault(state, [])).append(short)
    sound = [r for (_, variant), r in results.items() if variant in ("sound", "twin") and (r.get("gain") or 0) > 0]
    alarmed = [f"{r['name'][2:]}: {', '.join(w[0] for w in r['warnings'])}" for r in sound if r["warnings"]]
    sick = sum(map(len, said.values()))
    lines = ["| sick programs | of " + str(sick) + " | |", "|---|---|---|"]
    lines += [f"| {what} | {len(names)} | {'' if what == 'right' else ', '.join(names)} |" for what, names in said.items()]
    lines += ["", f"Sound programs and mended twins that learn: {len(sound)}; with a warning: {len(alarmed)}"]
    lines[-1] += f" ({'; '.join(alarmed)})." if alarmed else "."
    others = [f"{why}: {', '.join(names)}" for why, names in left_out.items()]
    lines += [f"Left out: {'; '.join(others)}."]
    text = "\n".join(lines)
    figures = {"sick": said, "left_out": left_out, "sound": len(sound), "alarmed": alarmed}
    publish("programs_of_others", "programs", figures, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="judge", choices=["run", "judge"])
    parser.add_argument("--file", type=Path, default=Path("logs/programs/results.jsonl"))
    given = parser.parse_args()
    given.file.parent.mkdir(parents=True, exist_ok=True)
    if given.command == "run":
        sys.exit(0 if run_all(given.file) else AGAIN)
    judge(given.file)
