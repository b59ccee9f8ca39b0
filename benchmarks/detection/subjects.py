"""Nets that learn their task. Each is built so that a fault can be planted anywhere in it; some are of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

import zoo
from detection import tasks


@dataclass(frozen=True)
class Plan:
    """What a fault changes while a net is built.

    Attributes:
        activation: of all hidden layers in the place of the net's own.
        normalised: whether BatchNormalization stays.
        cut_after: number of the hidden layer behind which no gradient passes.
        faded_after: number of the hidden layer behind which next to nothing of the gradient passes.
        last: activation of the last layer in the place of the task's own.
        initializer: of all hidden kernels in the place of the net's own.
        twin: name of a model of the zoo in the place of the net's own.
        optimizer: in the place of the net's own.
    """

    activation: str | None = None
    normalised: bool = True
    cut_after: int | None = None
    faded_after: int | None = None
    last: str | None = None
    initializer: Any = None
    twin: str | None = None
    optimizer: dict[str, Any] | None = None


class Cut(layers.Layer):
    """Passes its input on and no gradient back."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.stop_gradient(inputs)


class Fade(layers.Layer):
    """Passes its input on and a hundred-millionth of the gradient back."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.stop_gradient(inputs) * (1 - 1e-8) + inputs * 1e-8


class Builder:
    """A stack of hidden blocks, numbered from the input."""

    def __init__(self, plan: Plan, activation: str, initializer: Any = "glorot_uniform") -> None:
        self.plan, self.number = plan, 0
        self.activation = plan.activation or activation
        self.initializer = plan.initializer or initializer

    def done(self, x: Any) -> Any:
        """Ends a block."""
        self.number += 1
        if self.plan.faded_after == self.number:
            return Fade(name=f"fade{self.number}")(x)
        return Cut(name=f"cut{self.number}")(x) if self.plan.cut_after == self.number else x

    def dense(self, x: Any, width: int, norm: str = "", residual: bool = False) -> Any:
        name = f"hidden{self.number + 1:02d}"
        y = layers.Dense(width, name=name, kernel_initializer=self._init(), activation=None if norm else self.activation)(x)
        y = self._normed(y, norm, name)
        return self.done(layers.Add(name=f"{name}_sum")([x, y]) if residual else y)

    def conv(self, x: Any, filters: int, norm: str = "", residual: bool = False, kind: Any = layers.Conv2D) -> Any:
        name = f"hidden{self.number + 1:02d}"
        given = {"padding": "same", "name": name, "activation": None if norm else self.activation}
        y = kind(filters, 3, **given, kernel_initializer=self._init()) if kind is not layers.SeparableConv2D else kind(
            filters, 3, **given, depthwise_initializer=self._init(), pointwise_initializer=self._init()
        )  # fmt: skip
        y = self._normed(y(x), norm, name)
        return self.done(layers.Add(name=f"{name}_sum")([x, y]) if residual else y)

    def _init(self) -> Any:
        return keras.initializers.get(self.initializer)

    def _normed(self, y: Any, norm: str, name: str) -> Any:
        if not norm:
            return y
        if norm == "layer":
            y = layers.LayerNormalization(name=f"{name}_norm")(y)
        elif self.plan.normalised:
            y = layers.BatchNormalization(name=f"{name}_norm")(y)
        return layers.Activation(self.activation, name=f"{name}_act")(y)


Body = Callable[[Builder, Any], Any]


@dataclass(frozen=True)
class Subject:
    """A net, its task and how it is trained.

    Attributes:
        half: `"calibration"` or `"unseen"`.
    """

    name: str
    half: str
    task: Callable[[], tasks.Task]
    body: Body
    activation: str = "relu"
    initializer: str = "glorot_uniform"
    epochs: int = 12
    batch: int = 32
    rate: float = 2e-3
    optimizer: str = "adam"

    def build(self, plan: Plan, task: tasks.Task) -> keras.Model:
        x = inputs = keras.Input(task.x.shape[1:], dtype="int32" if task.x.dtype.kind == "i" else "float32", name="input")
        x = self.body(Builder(plan, self.activation, self.initializer), x)
        outputs = layers.Dense(task.outputs, activation=plan.last or task.last, name="outputs")(x)
        return keras.Model(inputs, outputs, name=self.name)


@dataclass(frozen=True)
class OfTheZoo(Subject):
    """A net of the zoo; its name is in `model`, its sick twins are faults of its own.

    Attributes:
        twins: names of models of the zoo that lack what makes this one learn.
    """

    model: str = ""
    twins: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def build(self, plan: Plan, task: tasks.Task) -> keras.Model:
        return zoo.build(plan.twin or self.model, **dict(self.options))


def dense(*widths: int, norm: str = "", residual: bool = False) -> Body:
    def body(b: Builder, x: Any) -> Any:
        for number, width in enumerate(widths):
            x = b.dense(x, width, norm, residual and number > 0)
        return x

    return body


def conv(*filters: int, norm: str = "", residual: bool = False, kind: Any = layers.Conv2D, flat: bool = False) -> Body:
    def body(b: Builder, x: Any) -> Any:
        for number, count in enumerate(filters):
            x = b.conv(x, count, norm, residual and number > 0, kind)
            if number == 0:
                x = layers.MaxPooling2D(name="pool")(x)
        return b.dense(layers.Flatten(name="flat")(x), 32) if flat else layers.GlobalAveragePooling2D(name="average")(x)

    return body


def recurrent(layer: Any, units: int, both: bool = False, embed: int = 0) -> Body:
    def body(b: Builder, x: Any) -> Any:
        if embed:
            x = layers.Embedding(60, embed, name="embedding")(x)
        one = layer(units, name="hidden01")
        x = b.done(layers.Bidirectional(one, name="hidden01")(x) if both else one(x))
        return b.dense(x, 24)

    return body


def averaged(b: Builder, x: Any) -> Any:
    x = layers.Embedding(60, 16, name="embedding")(x)
    return b.dense(b.dense(layers.GlobalAveragePooling1D(name="average")(x), 32), 32)


def attending(blocks: int, width: int, embed: bool) -> Body:
    def body(b: Builder, x: Any) -> Any:
        x = layers.Embedding(60, width, name="embedding")(x) if embed else layers.Dense(width, name="embedding")(x)
        for block in range(1, blocks + 1):
            y = layers.LayerNormalization(name=f"block{block}_norm")(x)
            x = layers.Add(name=f"block{block}_sum")(
                [x, layers.MultiHeadAttention(2, width // 2, name=f"block{block}_attention")(y, y)]
            )
            y = b.dense(layers.LayerNormalization(name=f"block{block}_norm2")(x), 2 * width)
            x = layers.Add(name=f"block{block}_sum2")([x, layers.Dense(width, name=f"block{block}_back")(y)])
        return layers.GlobalAveragePooling1D(name="average")(layers.LayerNormalization(name="norm")(x))

    return body


def _in_the_zoo(b: Builder, x: Any) -> Any:
    raise NotImplementedError("the zoo builds the whole net")


def _of_zoo(name: str, half: str, task: Any, model: str, twins: tuple[str, ...] = (), rate: float = 1e-3, epochs: int = 10,
            optimizer: str = "adam", batch: int = 32, **options: Any) -> OfTheZoo:  # fmt: skip
    return OfTheZoo(
        f"zoo_{name}", half, task, _in_the_zoo, rate=rate, epochs=epochs, batch=batch, optimizer=optimizer, model=model,
        twins=twins, options=tuple(options.items()),
    )  # fmt: skip


def _image() -> tasks.Task:
    return tasks.digits((8, 8, 1))


def _rows() -> tasks.Task:
    return tasks.digits((8, 8))


_A, _B = "calibration", "unseen"
SUBJECTS = {
    s.name: s
    for s in (
        Subject("digits_relu2", _A, tasks.digits, dense(64, 32)),
        Subject("digits_he5", _B, tasks.digits, dense(48, 48, 48, 48, 48), initializer="he_normal"),
        Subject("digits_tanh3", _A, tasks.digits, dense(48, 48, 48), activation="tanh"),
        Subject("digits_elu4", _B, tasks.digits, dense(40, 40, 40, 40), activation="elu"),
        Subject("digits_batchnorm4", _A, tasks.digits, dense(48, 48, 48, 48, norm="batch")),
        Subject("digits_residual8", _B, tasks.digits, dense(*[32] * 8, norm="layer", residual=True)),
        Subject("digits_he10", _A, tasks.digits, dense(*[48] * 10), initializer="he_normal", rate=1e-3),
        Subject("digits_gelu12", _B, tasks.digits, dense(*[32] * 12, residual=True), activation="gelu"),
        Subject("digits_sigmoid2", _B, tasks.digits, dense(64, 32), activation="sigmoid", rate=5e-3),
        Subject("image_conv", _A, _image, conv(12, 24, flat=True)),
        Subject("image_batchnorm", _B, _image, conv(12, 24, 24, norm="batch")),
        Subject("image_residual", _A, _image, conv(16, 16, 16, norm="batch", residual=True)),
        Subject("image_separable", _B, _image, conv(16, 32, norm="batch", kind=layers.SeparableConv2D, flat=True)),
        Subject("rows_lstm", _A, _rows, recurrent(layers.LSTM, 24)),
        Subject("rows_gru", _B, _rows, recurrent(layers.GRU, 24)),
        Subject("rows_attention", _A, _rows, attending(2, 16, False), epochs=14),
        Subject("marked_lstm", _B, tasks.marked, recurrent(layers.LSTM, 16), rate=5e-3, epochs=16),
        Subject("marked_both", _A, tasks.marked, recurrent(layers.GRU, 12, both=True), rate=5e-3, epochs=14),
        Subject("cancer_relu2", _A, tasks.cancer, dense(16, 8), epochs=25),
        Subject("cancer_batchnorm", _B, tasks.cancer, dense(24, 24, norm="batch"), epochs=20),
        Subject("wine_relu2", _A, tasks.wine, dense(16, 16), epochs=40, batch=16),
        Subject("moons_relu3", _B, tasks.moons, dense(32, 32, 32), epochs=20, rate=5e-3),
        Subject("circles_tanh2", _A, tasks.circles, dense(24, 24), activation="tanh", epochs=20, rate=5e-3),
        Subject("friedman_relu3", _A, tasks.friedman, dense(48, 48, 24), epochs=16),
        Subject("sine_tanh3", _B, tasks.sine, dense(32, 32, 32), activation="tanh", epochs=25, rate=5e-3),
        Subject("planes_relu3", _B, tasks.planes, dense(48, 48, 48), epochs=20, batch=64, rate=5e-3),
        Subject("topics_average", _A, tasks.topics, averaged, rate=5e-3),
        Subject("topics_lstm", _B, tasks.topics, recurrent(layers.LSTM, 24, embed=16), rate=5e-3, epochs=14),
        Subject("topics_attention", _B, tasks.topics, attending(1, 16, True), rate=3e-3),
        Subject("digits_sgd", _B, tasks.digits, dense(64, 64), optimizer="sgd", rate=0.05),
        Subject("wine_full_batch", _B, tasks.wine, dense(16), epochs=200, batch=1000, rate=1e-2),
        Subject("cancer_two_epochs", _A, tasks.cancer, dense(32, 16), epochs=2, batch=8, rate=5e-3),
        Subject("kept_gru", _A, tasks.kept, recurrent(layers.GRU, 24, embed=8), rate=1e-2, epochs=10),
        Subject("kept_gru_wide", _B, lambda: tasks.kept(9, 5), recurrent(layers.GRU, 32, embed=12), rate=8e-3),
        _of_zoo("relu", _A, tasks.digits, "plain.relu",
                ("plain.sigmoid", "plain.tanh_small", "plain.tanh_normal", "plain.relu_negative_bias")),
        _of_zoo("tanh_wine", _B, tasks.wine, "plain.tanh",
                ("plain.sigmoid", "plain.tanh_small", "plain.tanh_normal", "plain.relu_negative_bias"),
                depth=14, width=32, input_shape=(13,), classes=3, epochs=40, batch=16),
        _of_zoo("residual", _B, tasks.digits, "plain.residual", ("plain.sigmoid", "plain.tanh_small", "plain.relu_glorot"),
                depth=30, width=32),
        _of_zoo("gelu", _A, tasks.digits, "plain.gelu", ("plain.sigmoid",), depth=10, width=48),
        _of_zoo("silu", _B, tasks.digits, "plain.silu", ("plain.sigmoid", "plain.tanh_small"), depth=8, width=48, epochs=12),
        _of_zoo("resnet", _A, _image, "resnet.cifar", ("resnet.no_shortcut_no_norm",), depth=8, width=8,
                input_shape=(8, 8, 1), rate=2e-3),
        _of_zoo("resnet_pre", _B, _image, "resnet.pre_activation", ("resnet.no_shortcut_no_norm", "resnet.no_norm"),
                depth=14, width=6, input_shape=(8, 8, 1), rate=2e-3),
        _of_zoo("transformer", _A, tasks.topics, "transformer.classifier", ("transformer.attention_only",), vocabulary=60,
                input_shape=(16,), classes=3, depth=1, rate=3e-3),
        _of_zoo("transformer_post", _B, tasks.topics, "transformer.post_norm", ("transformer.attention_only",),
                vocabulary=60, input_shape=(16,), classes=3, width=16, rate=3e-3),
        _of_zoo("lstm", _B, tasks.topics, "lstm.layer_norm", ("simple_rnn.large_recurrent",), vocabulary=60,
                input_shape=(16,), outputs=3, output_activation="softmax", units=16, rate=4e-3),
        _of_zoo("gru", _A, tasks.topics, "gru.bidirectional", ("simple_rnn.large_recurrent",), vocabulary=60,
                input_shape=(16,), outputs=3, output_activation="softmax", units=16, rate=4e-3),
    )
}  # fmt: skip
