"""Claim: the weights come out as they would have without the monitor, to the bit, or differ by so much.

Trains each model of the test grid from the same seed with and without the monitor, in graph mode and under XLA, and
compares the final weights: |a - b| / |a| over all weights together. Beside it stands what the same training without any
monitor gives on one thread instead of all: the size of what nobody calls a difference.

    python benchmarks/watching_changes_nothing.py [--epochs 3] [--models mlp,cnn] [--modes graph]

The rows are stored beside this file as JSON; a run over some models replaces theirs only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

MODES = {"graph": {}, "XLA": {"jit_compile": True}}


def train(name: str, mode: str, update_freq: int, epochs: int) -> Any:
    """Final weights of one training, in one vector."""
    import keras
    import numpy as np
    from grid import BATCH, GRID

    import kerasgrad

    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    case = GRID[name](**MODES[mode])
    monitors = [kerasgrad.GradientMonitor(update_freq=update_freq, verbose=0)] if update_freq else []
    keras.utils.set_random_seed(4)
    case.model.fit(case.x, case.y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=monitors)
    return np.concatenate([np.asarray(w, np.float64).reshape(-1) for w in case.model.get_weights()])


def work(out: Path, models: list[str], modes: list[str], threads: int, update_freqs: list[int], epochs: int) -> None:
    """Trains all models in this process, on so many threads, and stores their weights."""
    import numpy as np
    import tensorflow as tf

    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    for name in models:
        for mode in modes:
            for update_freq in update_freqs:
                print(
                    f"{name} {mode} {'every ' + str(update_freq) if update_freq else 'plain'}", file=sys.stderr, flush=True
                )
                np.save(out / f"{name}-{mode}-{threads}-{update_freq}.npy", train(name, mode, update_freq, epochs))


def main() -> None:
    """Trains in two processes, compares, prints the table and stores it as JSON."""
    import numpy as np
    from grid import GRID

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--models", default=",".join(GRID))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--worker", nargs=3, metavar=("OUT", "THREADS", "FREQS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    models, modes = given.models.split(","), given.modes.split(",")
    if given.worker:
        out, threads, freqs = given.worker
        work(Path(out), models, modes, int(threads), [int(f) for f in freqs.split(",")], given.epochs)
        return
    with tempfile.TemporaryDirectory() as folder:
        for threads, freqs in ((0, "0,1,7"), (1, "0")):
            arguments = ["--epochs", str(given.epochs), "--models", given.models, "--modes", given.modes]
            arguments += ["--worker", folder, str(threads), freqs]
            subprocess.run([sys.executable, __file__, *arguments], check=True)

        def weights(name: str, mode: str, threads: int, update_freq: int) -> Any:
            return np.load(Path(folder) / f"{name}-{mode}-{threads}-{update_freq}.npy")

        rows = []
        for name in models:
            for mode in modes:
                plain = weights(name, mode, 0, 0)
                others = {"every step": (0, 1), "every 7th": (0, 7), "unwatched, one thread": (1, 0)}
                distance = {
                    k: float(np.linalg.norm(plain - weights(name, mode, *v)) / np.linalg.norm(plain))
                    for k, v in others.items()
                }
                rows.append({"model": name, "mode": mode, **distance})
    stored = Path(__file__).with_suffix(".json")
    kept = json.loads(stored.read_text()) if stored.exists() else []
    table = {(row["model"], row["mode"]): row for row in kept + rows}
    stored.write_text(json.dumps(list(table.values()), indent=1) + "\n")
    print("| model | mode | every step | every 7th | unwatched, one thread |\n|---|---|---|---|---|")
    for row in table.values():
        cells = [f"{v:.0e}" if v else "0" for k, v in row.items() if k not in ("model", "mode")]
        print(f"| {row['model']} | {row['mode']} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
