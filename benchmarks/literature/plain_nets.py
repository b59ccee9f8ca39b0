"""Claims of deep nets of `Dense` layers: 1, 2, 3, 6, 10 and 11."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import zoo
from literature.measure import Row, at_start, first_to_last, fresh, of_kernels, of_weights, train

GLOROT = "Glorot & Bengio 2010"
HE = "He et al. 2015, Delving deep into rectifiers"


def _sgd(rate: float) -> Any:
    return keras.optimizers.SGD(rate)


def claim_1(seeds: range) -> list[Row]:
    shrinks, early, late, scores = [], [], [], []
    for seed in seeds:
        fresh(seed)
        data = zoo.tasks.digits(seed)
        done = train(zoo.build("plain.sigmoid"), data, steps=400, seed=seed)
        shrinks.append(1 / float(done.run.overall("decay_factor")[0]))
        ratio = of_weights(done.run, "update_ratio", -1)
        early.append(float(np.median(ratio[:5])))
        late.append(float(np.median(ratio[-5:])))
        scores.append(done.score)
    return [
        Row(1, "Sigmoid nets: the signal shrinks 4x and more a layer", GLOROT, "20 layers, digits, at first",
            {"shrinks a layer": shrinks}, min(shrinks) >= 4),
        Row(1, "Early layers' updates stall, late ones learn", GLOROT, "the same after 400 steps of Adam",
            {"update ratio, layers 1-5": early, "layers 16-20": late, "accuracy": scores},
            all(e < 1e-2 * other for e, other in zip(early, late, strict=True))),
    ]  # fmt: skip


def claim_2(seeds: range) -> list[Row]:
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    for seed in seeds:
        data = zoo.tasks.digits(seed)
        for name in ("plain.relu", "plain.relu_glorot", "plain.tanh", "plain.tanh_small"):
            fresh(seed)
            run = at_start(zoo.build(name, depth=30), data)
            note(f"{name} activation", 1 / first_to_last(of_weights(run, "activation_std", only="hidden")))
            note(f"{name} signal", first_to_last(of_weights(run, "signal_rms", only="hidden")))
            note(f"{name} weight gradient", first_to_last(of_kernels(run, only="hidden")))
        for name in ("plain.relu", "plain.relu_glorot"):
            fresh(seed)
            note(
                f"{name} accuracy",
                train(zoo.build(name, depth=30), data, steps=800, optimizer=_sgd(0.05), seed=seed, watched=False).score,
            )

    def part(name: str) -> dict[str, list[float]]:
        return {
            key.removeprefix(f"{name} "): figures[f"{name} {key}"] for key in ("activation", "signal", "weight gradient")
        }

    at_first = "30 layers, digits, at first: last quarter / first for activations, first / last for gradients"
    glorot, he = figures["plain.relu_glorot accuracy"], figures["plain.relu accuracy"]
    level = [abs(np.log10(v)) < 1 for name in ("plain.relu_glorot",) for v in part(name)["weight gradient"]]
    dies = [v < 1e-1 for key in ("activation", "signal") for v in part("plain.relu_glorot")[key]]
    return [
        Row(2, "Glorot keeps variance for tanh", GLOROT, at_first, part("plain.tanh"),
            all(v > 0.1 for v in part("plain.tanh")["activation"] + part("plain.tanh")["signal"])),
        Row(2, "(small weights do not: deviation 0.01)", GLOROT, at_first, part("plain.tanh_small"),
            all(v < 1e-6 for v in part("plain.tanh_small")["signal"])),
        Row(2, "He keeps variance for ReLU", HE, at_first, part("plain.relu"),
            all(0.1 < v < 10 for v in part("plain.relu")["activation"] + part("plain.relu")["signal"])),
        Row(2, "Glorot under ReLU: signal and activations decay while weight gradients stay nearly level", HE, at_first,
            part("plain.relu_glorot"), all(level) and all(dies)),
        Row(2, "With SGD a 30-layer ReLU net trains with He and stalls with Glorot", HE, "digits, 800 steps, rate 0.05",
            {"accuracy, He": he, "accuracy, Glorot": glorot}, min(he) > 0.2 > 0.15 > max(glorot)),
    ]  # fmt: skip


def claim_3(seeds: range) -> list[Row]:
    target, steps, reached = 0.9, 500, {}
    for name in ("plain.sigmoid", "plain.sigmoid_batch_norm", "plain.relu_glorot", "plain.relu", "plain.batch_norm"):
        for seed in seeds:
            fresh(seed)
            data, rate = zoo.tasks.digits(seed), _sgd(0.1)
            hits = train(zoo.build(name), data, steps=steps, optimizer=rate, seed=seed, watched=False).hits
            smooth = np.convolve(hits, np.ones(20) / 20, "valid") >= target
            reached.setdefault(name, []).append(float(np.argmax(smooth) + 20) if smooth.any() else float("inf"))
    return [
        Row(3, f"BatchNorm reaches {target:.0%} in a fraction of the steps", "Ioffe & Szegedy 2015",
            f"20 layers, digits, SGD 0.1, accuracy over 20 batches, {steps} steps at most",
            {f"steps, {name}": reached[name] for name in (plain, normed)},
            all(n < 0.75 * p for n, p in zip(reached[normed], reached[plain], strict=True)))
        for plain, normed in (("plain.sigmoid", "plain.sigmoid_batch_norm"), ("plain.relu_glorot", "plain.batch_norm"),
                              ("plain.relu", "plain.batch_norm"))
    ]  # fmt: skip


def claim_6(seeds: range) -> list[Row]:
    """A training that kills, then one at a usual rate that could revive."""
    rows = []
    for what, first_rate, bias in (("a high rate", 0.1, 0.0), ("a negative bias", 1e-3, -1.0)):
        figures: dict[str, list[float]] = {}
        for seed in seeds:
            data = zoo.tasks.digits(seed)
            for activation in ("relu", "leaky_relu", "prelu", "elu"):
                fresh(seed)
                model = zoo.build("plain.relu", depth=8, activation=activation, bias=bias)
                # The rate of an optimizer that is compiled anew; Adam's memory of the first part goes with it.
                train(model, data, steps=60, optimizer=keras.optimizers.Adam(first_rate), seed=seed, watched=False)
                after = train(model, data, steps=400, seed=seed, update_freq=8, window=25)
                units, last = after.run.units, int(after.run.steps[-25])
                hidden = [u.last_fired < last for path, u in units.items() if path.startswith("hidden")]
                figures.setdefault(f"dead, {activation}", []).append(
                    float(np.mean(np.concatenate(hidden))) if hidden else 0.0
                )
                figures.setdefault(f"accuracy, {activation}", []).append(after.score)
        others = [v for name, values in figures.items() if name.startswith("dead") and name[6:] != "relu" for v in values]
        rows.append(
            Row(6, f"Dying ReLU: {what} kills units for good; leaky, parametric and exponential units do not die",
                "Lu et al. 2019; Maas et al. 2013; Clevert et al. 2016",
                f"8 layers, digits: 60 steps of Adam {first_rate:g}, bias {bias:g}; then 400 at 0.001, dead in the last 200",
                figures, min(figures["dead, relu"]) > 0.2 and max(others) < 0.01)
        )  # fmt: skip
    return rows


def claim_10(seeds: range) -> list[Row]:
    figures: dict[str, list[float]] = {"gradient at the first layer": [], "gradient, first / last quarter": []}
    overflow: dict[str, list[float]] = {"layers that are not finite": [], "loss": []}
    for seed in seeds:
        data = zoo.tasks.digits(seed)
        fresh(seed)
        run = at_start(zoo.build("plain.pre_activation", depth=1000, width=16), data)
        gradient = of_kernels(run)
        figures["gradient at the first layer"].append(float(gradient[0]))
        figures["gradient, first / last quarter"].append(first_to_last(gradient))
        fresh(seed)
        run = at_start(zoo.build("plain.residual_no_norm", depth=1000, width=16), data)
        overflow["layers that are not finite"].append(float((run.table("activation_nonfinite", "layer")[0] > 0).sum()))
        overflow["loss"].append(float(run.overall("loss")[0]))
    setting = "1,000 Dense layers, 16 wide, digits, at first"
    he = "He et al. 2016, Identity mappings"
    received = all(np.isfinite(v) and v > 1e-3 for v in figures["gradient at the first layer"])
    return [
        Row(10, "A pre-activation residual net with BatchNorm and 1,000 weight layers receives gradient at its first", he,
            setting, figures, received),
        Row(10, "An unnormalised one with He weights overflows float32", "Zhang et al. 2019, Fixup", setting, overflow,
            min(overflow["layers that are not finite"]) > 0),
    ]  # fmt: skip


def claim_11(seeds: range) -> list[Row]:
    """The backbone is the zoo's own, trained on digits; the head learns whether the digit is odd."""
    figures: dict[str, list[float]] = {}
    for seed in seeds:
        (x, y), (x_test, y_test) = zoo.tasks.digits()
        data = (x, y % 2), (x_test, y_test % 2)
        for head, depth, activation in (("one layer", 1, ""), ("15 sigmoid layers", 15, "sigmoid"), ("15 ReLU", 15, "relu")):
            fresh(seed)
            backbone = zoo.load("plain.relu")
            backbone.trainable = False
            h = backbone.get_layer("hidden10").output
            for number in range(1, depth):
                start = "he_normal" if activation == "relu" else "glorot_uniform"
                h = keras.layers.Dense(32, activation=activation, kernel_initializer=start, name=f"head{number:02d}")(h)
            model = keras.Model(backbone.input, keras.layers.Dense(2, activation="softmax", name="odd")(h))
            done = train(model, data, steps=300, seed=seed)
            figures.setdefault(f"accuracy, {head}", []).append(done.score)
            if depth > 1:
                signal = first_to_last(of_weights(done.run, "signal_rms", only="head"))
                figures.setdefault(f"signal in the head, {head}", []).append(signal)
    vanished = max(figures["signal in the head, 15 sigmoid layers"]) < 1e-3
    learns = min(figures["accuracy, one layer"]) > max(figures["accuracy, 15 sigmoid layers"]) + 0.1
    return [
        Row(11, "A new deep head on a frozen backbone can vanish within the head", "Glorot & Bengio 2010, of the head alone",
            "10 layers of `plain.relu` frozen, a head for odd or even, 300 steps of Adam; signal, first / last quarter",
            figures, vanished and learns),
    ]  # fmt: skip
