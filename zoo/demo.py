"""Three nets of the same depth on the same digits: one that cannot learn, and two cures."""

from __future__ import annotations

import os
from pathlib import Path

DEMO = ("plain.sigmoid", "plain.relu", "plain.residual")


def demo(log_dir: str = "logs/demo", epochs: int = 8) -> None:
    """Trains them under the monitor, prints their reports side by side, and says how to open TensorBoard.

    Args:
        log_dir: where the runs go, one folder each.
        epochs: passes over the digits.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    import kerasgrad
    import zoo
    from kerasgrad.views import side_by_side
    from zoo.registry import note

    (x, y), held_out = zoo.tasks.digits()
    runs, scores = {}, {}
    for name in DEMO:
        print(f"\n{name}: {note(name)}")
        keras.utils.set_random_seed(0)
        model = zoo.build(name)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        monitor = kerasgrad.GradientMonitor(Path(log_dir) / name, update_freq=5, verbose=0)
        model.fit(x, y, epochs=epochs, callbacks=[monitor], verbose="auto")
        scores[name] = model.evaluate(*held_out, verbose=0)[1]
        runs[name] = monitor.run
    print("\n" + side_by_side.side_by_side(runs))
    print("\nAccuracy on digits they have not seen: " + ", ".join(f"{name} {score:.0%}" for name, score in scores.items()))
    print(f"\nThe sick one in full:\n\n{runs[DEMO[0]]}")
    print(f"\nLook at them with:  tensorboard --logdir {log_dir}")
