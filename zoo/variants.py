"""The models of the zoo by name: each a family with the arguments that make this variant. Names carry no numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Variant:
    """A name: a family's builder with the arguments that make this variant.

    Attributes:
        family: module of the zoo whose function of the same name builds the model.
        arguments: what this variant asks of it.
        note: what it is, in a line. Whether it learns is for the recorded baselines to say.
    """

    family: str
    arguments: Mapping[str, Any]
    note: str


_RELU = {"activation": "relu", "initializer": "he_normal"}
_PRE_ACTIVATION = _RELU | {"normalization": "batch", "residual": True, "pre_activation": True}


def _plain(note: str, **arguments: Any) -> Variant:
    return Variant("plain", arguments, note)


def _recurrent(cell: str, note: str, **arguments: Any) -> Variant:
    return Variant("recurrent", {"cell": cell, **arguments}, note)


def _resnet(note: str, **arguments: Any) -> Variant:
    return Variant("resnet", arguments, note)


def _transformer(kind: str, note: str, **arguments: Any) -> Variant:
    return Variant("transformer", {"kind": kind, **arguments}, note)


VARIANTS: Mapping[str, Variant] = {
    "plain.sigmoid": _plain("20 sigmoid layers with Glorot weights", activation="sigmoid"),
    "plain.sigmoid_batch_norm": _plain("the same with batch normalisation", activation="sigmoid", normalization="batch"),
    "plain.tanh": _plain("20 tanh layers with Glorot weights: the signal keeps its size", activation="tanh"),
    "plain.tanh_normal": _plain("tanh layers with weights of deviation 1", activation="tanh", initializer="normal"),
    "plain.tanh_small": _plain("tanh layers with weights of deviation 0.01", activation="tanh", initializer="small_normal"),
    "plain.tanh_lecun": _plain("tanh layers with LeCun weights", activation="tanh", initializer="lecun_normal"),
    "plain.tanh_orthogonal": _plain("tanh layers with orthogonal weights", activation="tanh", initializer="orthogonal"),
    "plain.relu": _plain("20 ReLU layers with He weights", **_RELU),
    "plain.relu_glorot": _plain("ReLU layers with Glorot weights, which suit tanh", activation="relu"),
    "plain.relu_negative_bias": _plain("ReLU layers whose biases begin at -1", **_RELU, bias=-1.0),
    "plain.leaky_relu": _plain("leaky ReLU layers with He weights", activation="leaky_relu", initializer="he_normal"),
    "plain.prelu": _plain("ReLU layers whose negative slope is learnt", activation="prelu", initializer="he_normal"),
    "plain.elu": _plain("ELU layers with He weights", activation="elu", initializer="he_normal"),
    "plain.gelu": _plain("GELU layers with He weights", activation="gelu", initializer="he_normal"),
    "plain.silu": _plain("SiLU layers with He weights", activation="silu", initializer="he_normal"),
    "plain.batch_norm": _plain("ReLU layers with batch normalisation", **_RELU, normalization="batch"),
    "plain.layer_norm": _plain("ReLU layers with layer normalisation", **_RELU, normalization="layer"),
    "plain.group_norm": _plain("ReLU layers with group normalisation", **_RELU, normalization="group"),
    "plain.residual": _plain(
        "20 ReLU layers with shortcuts and layer normalisation", **_RELU, normalization="layer", residual=True
    ),
    "plain.residual_no_norm": _plain("20 ReLU layers with shortcuts alone", **_RELU, residual=True),
    "plain.pre_activation": _plain("shortcuts that nothing stands on, and batch normalisation", **_PRE_ACTIVATION),
    "simple_rnn.last": _recurrent("simple_rnn", "one recurrent layer, its last output"),
    "simple_rnn.stacked": _recurrent("simple_rnn", "three recurrent layers", depth=3),
    "simple_rnn.bidirectional": _recurrent("simple_rnn", "one layer that reads both ways", bidirectional=True),
    "simple_rnn.sequence": _recurrent("simple_rnn", "an answer at each step", sequence=True),
    "simple_rnn.layer_norm": _recurrent("simple_rnn", "three, each normalised", depth=3, normalization="layer"),
    "simple_rnn.large_recurrent": _recurrent(
        "simple_rnn", "recurrent weights that grow the state 1.5x a step", activation="relu", recurrent_gain=1.5
    ),
    "lstm.last": _recurrent("lstm", "one LSTM layer as Keras makes it: forget-gate bias 1", memory_bias=1.0),
    "lstm.no_bias": _recurrent("lstm", "the forget-gate bias begins at 0", memory_bias=0.0),
    "lstm.chrono": _recurrent("lstm", "gate biases for memories up to the sequence's length", memory_bias="chrono"),
    "lstm.stacked": _recurrent("lstm", "three LSTM layers", depth=3),
    "lstm.bidirectional": _recurrent("lstm", "one layer that reads both ways", bidirectional=True),
    "lstm.sequence": _recurrent("lstm", "an answer at each step", sequence=True),
    "lstm.layer_norm": _recurrent("lstm", "three, each normalised", depth=3, normalization="layer"),
    "gru.last": _recurrent("gru", "one GRU layer as Keras makes it: update-gate bias 0"),
    "gru.bias": _recurrent("gru", "the update-gate bias begins at 1", memory_bias=1.0),
    "gru.chrono": _recurrent("gru", "gate biases for memories up to the sequence's length", memory_bias="chrono"),
    "gru.stacked": _recurrent("gru", "three GRU layers", depth=3),
    "gru.bidirectional": _recurrent("gru", "one layer that reads both ways", bidirectional=True),
    "gru.sequence": _recurrent("gru", "an answer at each step", sequence=True),
    "gru.layer_norm": _recurrent("gru", "three, each normalised", depth=3, normalization="layer"),
    "cnn.small": Variant("cnn", {}, "two pairs of convolutions, as in Keras' first example"),
    "lru.long": Variant("lru", {"radii": (0.999, 0.99999)}, "linear recurrent units that forget in 1,000 steps and more"),
    "lru.short": Variant("lru", {"radii": (0.5, 0.9)}, "the same that forget within ten steps"),
    "resnet.cifar": _resnet("CIFAR style: three stages, shortcuts without parameters"),
    "resnet.pre_activation": _resnet("normalisation and ReLU before each convolution", version=2),
    "resnet.no_shortcut": _resnet("the same convolutions without shortcuts", shortcut=False),
    "resnet.no_norm": _resnet("the same convolutions without normalisation", normalization=None),
    "resnet.no_shortcut_no_norm": _resnet("convolutions and ReLU alone", shortcut=False, normalization=None),
    "resnet.stochastic_depth": _resnet("blocks are left out at random in training", stochastic_depth=0.5),
    "resnet.imagenet": _resnet(
        "ImageNet style: four stages, projections", style="imagenet", depth=50, input_shape=(224, 224, 3), classes=1000
    ),
    "resnet.imagenet_pre_activation": _resnet(
        "the same with normalisation and ReLU before each convolution",
        style="imagenet", depth=50, version=2, input_shape=(224, 224, 3), classes=1000,
    ),
    "densenet.connected": Variant("densenet", {}, "each layer reads all before it in its block"),
    "densenet.bottleneck": Variant(
        "densenet", {"bottleneck": True, "compression": 0.5}, "DenseNet-BC: narrowed before each layer and between blocks"
    ),
    "densenet.imagenet": Variant(
        "densenet",
        {
            "blocks": (6, 12, 24, 16), "growth": 32, "bottleneck": True, "compression": 0.5, "style": "imagenet",
            "input_shape": (224, 224, 3), "classes": 1000,
        },
        "DenseNet-121",
    ),
    "densenet.no_connections": Variant("densenet", {"connected": False}, "each layer reads only the one before"),
    "gan.saturating": Variant("gan", {"saturating": True}, "the generator minimises log(1 - D): no gradient once D is sure"),
    "gan.non_saturating": Variant("gan", {}, "the generator minimises -log D"),
    "gan.spectral": Variant("gan", {"spectral": True, "depth": 6}, "a deep discriminator of bounded slope"),
    "policy.relu": Variant("policy", {}, "REINFORCE with the mean reward taken off"),
    "policy.no_baseline": Variant("policy", {"baseline": False}, "the same gradient on average, scattered more"),
    "policy.sigmoid": Variant("policy", {"activation": "sigmoid", "depth": 10}, "ten sigmoid layers"),
    "unet.skips": Variant("unet", {}, "each level up reads its level down"),
    "unet.no_skips": Variant("unet", {"skips": False}, "everything passes the bottleneck"),
    "transformer.classifier": _transformer("classifier", "encoder, normalisation before each sublayer"),
    "transformer.post_norm": _transformer("classifier", "encoder, normalisation after each sum", norm="post"),
    "transformer.no_norm": _transformer("classifier", "encoder without normalisation", norm=None),
    "transformer.no_shortcut": _transformer("classifier", "encoder without shortcuts", shortcut=False),
    "transformer.attention_only": _transformer(
        "classifier", "attention alone, without shortcuts and feed-forward", norm=None, shortcut=False, feed_forward=False
    ),
    "transformer.language_model": _transformer("language_model", "decoder that gives the next symbol"),
    "transformer.language_model_post_norm": _transformer("language_model", "the same, normalised after", norm="post"),
    "transformer.vision": _transformer("vision", "reads an image in patches", input_shape=(32, 32, 3), classes=10),
    "transformer.vision_no_shortcut": _transformer(
        "vision", "the same without shortcuts", input_shape=(32, 32, 3), classes=10, shortcut=False
    ),
}  # fmt: skip
