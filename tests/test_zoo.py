"""The zoo: every name builds, runs, shows each layer and is saved; counts are the published ones; names are found."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasgrad
import zoo
from zoo.__main__ import main
from zoo.variants import VARIANTS

SMALL: dict[str, dict[str, Any]] = {
    "plain": {"depth": 4, "width": 16},
    "recurrent": {"units": 4, "input_shape": (6, 2)},
    "resnet": {"width": 4, "classes": 3},
    "densenet": {"depth": 10, "growth": 4, "width": 4, "input_shape": (8, 8, 3)},
    "unet": {"depth": 2, "width": 4, "input_shape": (8, 8, 1)},
    "transformer": {"width": 8, "heads": 2, "vocabulary": 12},
    "cnn": {"depth": 1, "width": 4, "dense": 8, "input_shape": (8, 8, 3)},
    "lru": {"depth": 1, "width": 8, "units": 4, "input_shape": (6, 2)},
}
OWN_STEP = {"gan", "policy"}
"""Families with a training step of their own, see `test_zoo_families.py`."""
IN_THE_FAST_SET = {
    "plain.residual", "lstm.chrono", "resnet.cifar", "densenet.connected", "unet.skips", "transformer.language_model",
    "cnn.small", "lru.long",
}  # fmt: skip
"""One of each kind; all the others run in `make test-all`."""


def small(name: str) -> keras.Model:
    """The variant as small as it can be without becoming another."""
    variant = VARIANTS[name]
    overrides = dict(SMALL[variant.family])
    if variant.family == "resnet":
        deep = variant.arguments.get("style") == "imagenet"
        overrides |= {"depth": 18, "input_shape": (32, 32, 3)} if deep else {"depth": 8, "input_shape": (8, 8, 3)}
    if name == "densenet.imagenet":
        overrides |= {"blocks": (2, 2), "input_shape": (16, 16, 3)}
    if variant.family == "transformer":
        overrides["input_shape"] = (8, 8, 3) if variant.arguments["kind"] == "vision" else (6,)
    return zoo.build(name, **overrides)


def batch(model: keras.Model, examples: int = 16) -> tuple[Any, Any, str]:
    """Inputs, answers and the loss that suit a model's shapes."""
    rng, shape = np.random.default_rng(0), (examples, *model.input_shape[1:])
    symbols = model.inputs[0].dtype == "int32"
    x = rng.integers(0, 12, shape) if symbols else rng.normal(size=shape).astype("float32")
    *places, classes = model.output_shape[1:]
    if model.layers[-1].activation is keras.activations.softmax:
        return x, rng.integers(0, classes, (examples, *places)), "sparse_categorical_crossentropy"
    return x, rng.normal(size=(examples, *places, classes)).astype("float32"), "mean_squared_error"


def trainable(model: keras.Model) -> int:
    """Number of weights that are trained."""
    return sum(math.prod(v.shape) for v in model.trainable_variables)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in IN_THE_FAST_SET else pytest.mark.slow)
        for n in zoo.names()
        if VARIANTS[n].family not in OWN_STEP
    ],
)
def test_builds_runs_and_shows_every_trainable_layer(name: str, tmp_path: Path) -> None:
    model = small(name)
    x, y, loss = batch(model)
    assert model.name == name.replace(".", "_")
    # Eager steps are the same program without the seconds that tracing takes.
    model.compile("adam", loss, run_eagerly=True)
    assert np.isfinite(model.predict(x, verbose=0)).all()
    monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
    model.fit(x, y, batch_size=len(x), verbose=0, callbacks=[monitor])
    run = monitor.run
    assert set(run.variables) == {v.path for v in model.trainable_variables}
    assert {run.layers[owner] for owner in run.schema.owners} <= set(run.layers) and not run.not_examined.get("model")
    learning = sorted(set(run.schema.owners))
    norms = run.table("gradient_norm", "layer")[0, learning]
    assert np.isfinite(norms).all() and (norms > 0).all(), dict(zip(np.array(run.layers)[learning], norms, strict=True))
    model.save(tmp_path / "model.keras")
    loaded, trained = keras.saving.load_model(tmp_path / "model.keras"), model.trainable_variables
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    # Keras leaves the wrapper's name out of the paths inside a Bidirectional that it loads.
    expected = [v.path.replace("rnn1/forward_", "forward_").replace("rnn1/backward_", "backward_") for v in trained]
    found = [v.path for v in loaded.trainable_variables]
    assert found in (expected, [v.path for v in trained])


def test_rows_stay_when_keras_forgets_a_wrappers_name(tmp_path: Path) -> None:
    """A loaded model's rows are those of the model that was saved: a training that is resumed goes on with its run."""
    rnn = keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True, name="rnn"), name="both")
    layers = [keras.layers.Input((3, 2)), rnn, keras.layers.TimeDistributed(keras.layers.Dense(1, name="one"), name="each")]
    model = keras.Sequential(layers, name="wrapped")
    model.compile("sgd", "mean_squared_error", run_eagerly=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert "forward_rnn/gru_cell/kernel" in [v.path for v in loaded.variables], "if Keras has mended it, so should we"
    schemas = []
    for one in (model, loaded):
        monitor = kerasgrad.GradientMonitor(update_freq=1, verbose=0)
        one.fit(np.ones((2, 3, 2)), np.ones((2, 3, 1)), verbose=0, callbacks=[monitor])
        schemas.append(monitor.run.schema)
    assert schemas[0] == schemas[1]
    assert schemas[0].layers == ("both/forward_rnn", "both/backward_rnn", "both", "each")
    assert schemas[0].variables[0] == "both/forward_rnn/gru_cell/kernel" and schemas[0].variables[-1] == "each/one/bias"


def test_the_fast_set_has_one_of_each_family() -> None:
    assert set(zoo.names()) >= IN_THE_FAST_SET
    assert (
        {VARIANTS[name].family for name in IN_THE_FAST_SET} == set(SMALL) == {v.family for v in VARIANTS.values()} - OWN_STEP
    )


CIFAR_MILLIONS = {20: "0.27", 32: "0.46", 44: "0.66", 56: "0.85", 110: "1.7", 1202: "19.4"}
"""He et al. 2015, table 6, as it is printed."""
TORCHVISION = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
"""torchvision.models.resnet, `num_params` of each weight's metadata."""


@pytest.mark.parametrize("depth", [20, *(pytest.param(d, marks=pytest.mark.slow) for d in CIFAR_MILLIONS if d > 20)])
def test_cifar_resnets_have_the_published_size(depth: int) -> None:
    model, printed = zoo.build("resnet.cifar", depth=depth), CIFAR_MILLIONS[depth]
    assert f"{trainable(model) / 1e6:.{len(printed.partition('.')[2])}f}" == printed
    weight_layers = [x for x in model.layers if isinstance(x, keras.layers.Conv2D | keras.layers.Dense)]
    assert len(weight_layers) == depth


@pytest.mark.parametrize("depth", [18, *(pytest.param(d, marks=pytest.mark.slow) for d in TORCHVISION if d > 18)])
def test_imagenet_resnets_have_the_published_size(depth: int) -> None:
    assert trainable(zoo.build("resnet.imagenet", depth=depth)) == TORCHVISION[depth]


def test_densenet_and_plain_have_the_published_size() -> None:
    assert f"{trainable(zoo.build('densenet.bottleneck', depth=100)) / 1e6:.1f}" == "0.8"  # the same table: BC 100-12
    assert f"{trainable(zoo.build('densenet.connected')) / 1e6:.1f}" == "1.0"  # Huang et al. 2017, table 2: 40-12
    assert zoo.build("plain.sigmoid").count_params() == (64 * 64 + 64) * 19 + 64 * 10 + 10


@pytest.mark.slow
def test_densenet_121_has_the_published_size() -> None:
    assert trainable(zoo.build("densenet.imagenet")) == 7_978_856  # torchvision.models.densenet121, `num_params`


@pytest.mark.parametrize(
    ("sick", "healthy"),
    [
        ("resnet.no_shortcut", "resnet.cifar"),
        ("densenet.no_connections", "densenet.connected"),
        ("unet.no_skips", "unet.skips"),
        ("transformer.no_shortcut", "transformer.classifier"),
        ("plain.batch_norm", "plain.relu"),
    ],
)
def test_twins_differ_in_the_one_thing(sick: str, healthy: str) -> None:
    """The same layers of weights in the same order; what lacks is what the name says."""

    def kernels(name: str) -> list[str]:
        return [x.name for x in small(name).layers if isinstance(x, keras.layers.Conv2D | keras.layers.Dense)]

    assert kernels(sick) == kernels(healthy)
    assert {type(x).__name__ for x in small(healthy).layers} ^ {type(x).__name__ for x in small(sick).layers} <= {
        "Add", "Concatenate", "MaxPooling2D", "Permute", "ZeroPadding2D", "BatchNormalization", "Activation",
    }  # fmt: skip


def test_layers_have_readable_names() -> None:
    def has(name: str) -> set[str]:
        return {layer.name for layer in small(name).layers}

    assert {"stem.conv", "stage2.block1.conv2", "stage2.block1.sum", "classes"} <= has("resnet.cifar")
    assert {"block1.layer01.conv", "transition1.conv"} <= has("densenet.connected")
    assert {"down1.conv1", "bottom.conv2", "up1.all"} <= has("unet.skips")
    assert {"block2.attention", "block2.dense1", "block2.attention_sum"} <= has("transformer.classifier")
    assert {"rnn3", "rnn3_norm", "answer"} <= has("lstm.layer_norm")
    names = [layer.name for layer in zoo.build("plain.sigmoid").layers]
    assert names[1:3] == ["hidden01", "hidden02"] and names[-1] == "classes"


def test_gate_biases() -> None:
    def bias(name: str, way: str = "") -> Any:
        layer = zoo.build(name, units=3, input_shape=(500, 2)).get_layer("rnn1")
        return np.array((getattr(layer, way) if way else layer).cell.bias)

    assert bias("lstm.no_bias").any() == 0
    assert bias("lstm.last").tolist() == [0] * 3 + [1] * 3 + [0] * 6
    entered, kept = bias("lstm.chrono")[:3], bias("lstm.chrono")[3:6]
    assert ((kept > 0) & (kept <= np.log(499))).all() and ((entered < 0) & (entered >= -np.log(499))).all()
    assert len(set(kept)) == 3 and (bias("lstm.chrono")[6:] == 0).all()
    assert bias("gru.bias").tolist() == [[1] * 3 + [0] * 6, [0] * 9]
    both = zoo.build("lstm.chrono", units=3, bidirectional=True, input_shape=(500, 2)).get_layer("rnn1")
    assert (np.array(both.backward_layer.cell.bias)[3:6] > 0).all()


def test_stochastic_depth_leaves_out_more_of_what_is_deeper() -> None:
    model = zoo.build("resnet.stochastic_depth", depth=20)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(rates) == 9 and np.allclose(np.diff(rates), 0.5 / 9) and rates[-1] == 0.5
    drop = model.get_layer("stage3.block3.drop")
    kept = np.array(drop(np.ones((200, 2, 2, 1), "float32"), training=True)).reshape(200, 4)
    assert (kept == kept[:, :1]).all() and set(kept[:, 0]) == {0.0, 2.0}


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "gelu", "silu"])
@pytest.mark.parametrize("normalization", [None, "batch", "layer", "group"])
def test_plain_takes_any_combination(activation: str, normalization: str | None) -> None:
    for pre_activation in (False, True):
        model = zoo.build(
            "plain.relu", depth=3, width=8, activation=activation, normalization=normalization, residual=True,
            pre_activation=pre_activation,
        )  # fmt: skip
        assert model.count_params() > 0 and model.output_shape == (None, 10)


@pytest.mark.slow
def test_a_thousand_layers_are_built_and_python_is_left_as_it_was() -> None:
    """Keras walks through a functional model by recursion, which ends at 1,000 calls unless Python is told otherwise."""
    limit = sys.getrecursionlimit()
    model = zoo.build("plain.pre_activation", depth=1000, width=4)
    assert sum(isinstance(layer, keras.layers.Dense) for layer in model.layers) == 1000
    assert model.layers[1].name == "hidden0001" and sys.getrecursionlimit() == limit


@pytest.mark.parametrize(
    ("initializer", "deviation"),
    [("normal", 1.0), ("small_normal", 0.01), ("glorot_uniform", 128**-0.5 * 2**0.5), ("he_normal", 32**-0.5)],
)
def test_initializers(initializer: str, deviation: float) -> None:
    model = zoo.build("plain.relu", depth=3, initializer=initializer)
    first, second = (np.array(model.get_layer(name).kernel) for name in ("hidden01", "hidden02"))
    assert first.std() == pytest.approx(deviation, rel=0.05) and not np.array_equal(first, second)


def test_a_wrong_name_or_override_says_what_there_is() -> None:
    with pytest.raises(KeyError, match=r"plain\.sigmoid.*Received: name='plain\.sigmoit'"):
        zoo.build("plain.sigmoit")
    with pytest.raises(KeyError, match=r"resnet\.no_shortcut.*Received: name='resnet.no_skip'"):
        zoo.build("resnet.no_skip")
    with pytest.raises(KeyError, match=r"resnet\.cifar.*depth=56.*Received: name='resnt\.20'"):
        zoo.build("resnt.20")
    with pytest.raises(KeyError, match=r"there are cnn\.\*, densenet\.\*.*Received: name='xyzzy'"):
        zoo.build("xyzzy")
    with pytest.raises(SystemExit, match=r"plain\.relu.*Received: name='plain\.rellu'"):
        main(["list", "plain.rellu"])
    with pytest.raises(TypeError, match=r"depth.*Received: deep"):
        zoo.build("plain.relu", deep=3)
    assert zoo.names("unet.*") == ["unet.no_skips", "unet.skips"] and zoo.names("nothing*") == []


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("plain.relu", {"depth": 1}),
        ("plain.relu", {"normalization": "spectral"}),
        ("simple_rnn.last", {"memory_bias": 1.0}),
        ("lstm.last", {"memory_bias": "long"}),
        ("lstm.last", {"normalization": "batch"}),
        ("resnet.cifar", {"depth": 21}),
        ("resnet.imagenet", {"depth": 20}),
        ("resnet.no_shortcut", {"stochastic_depth": 0.5}),
        ("densenet.connected", {"depth": 41}),
        ("unet.skips", {"input_shape": (20, 20, 1)}),
        ("transformer.classifier", {"norm": "middle"}),
        ("transformer.classifier", {"width": 30}),
    ],
)
def test_an_argument_out_of_range_is_named(name: str, override: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Received: .*{next(iter(override))}="):
        zoo.build(name, **override)


@pytest.mark.slow
def test_sigmoid_cannot_learn_and_its_twins_can() -> None:
    """What the demo shows, measured: the signal is lost in the one and not in the others."""
    (x, y), _ = zoo.tasks.digits()
    factors = {}
    for name in ("plain.sigmoid", "plain.relu"):
        model = zoo.build(name)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        monitor = kerasgrad.GradientMonitor(update_freq=20, verbose=0)
        history = model.fit(x, y, epochs=4, verbose=0, callbacks=[monitor]).history
        factors[name] = float(monitor.run.overall("decay_factor")[0])
        assert (history["accuracy"][-1] > 0.6) == (name == "plain.relu")
    assert factors["plain.sigmoid"] < 0.3 < 0.8 < factors["plain.relu"] < 1.25


def test_command_line() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "zoo", "list", "plain.*"], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[0] for line in said.splitlines()] == zoo.names("plain.*")
