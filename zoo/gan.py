"""A generative adversarial net on points of the plane, with a training step of its own and a loss that saturates or not."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from zoo.parts import assemble, at_least

SLOPE = 0.2
"""Of the discriminator's leaky ReLUs. Radford et al. 2016, section 3."""

NEAR = 0.15
"""How far a sample may be from the nearest real point to count as real: three deviations of `zoo.tasks.gaussians`."""


@keras.saving.register_keras_serializable(package="zoo")
class Adversarial(keras.Model):
    """A generator and a discriminator that are trained against each other, a step each, from points without labels.

    Args:
        generator: from `[points, latent]` to `[points, features]`.
        discriminator: from `[points, features]` to `[points, 1]`, the logit of being real.
        saturating: whether the generator minimises `log(1 - D(G(z)))`, whose gradient is lost where the discriminator is
            sure; otherwise `-log D(G(z))`.
        **more: as of every model.

    References:
        Goodfellow et al. 2014, Generative adversarial nets, section 3; Arjovsky & Bottou 2017, theorem 2.4.
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model, saturating: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.generator, self.discriminator, self.saturating = generator, discriminator, saturating
        self.seeds = keras.random.SeedGenerator()
        self.second: Any = None
        self.meters = {name: keras.metrics.Mean(name) for name in ("generator_loss", "discriminator_loss", "near")}
        self.built = True  # both parts are

    @property
    def optimizers(self) -> list[Any]:
        """The generator's and the discriminator's, which have a state each."""
        return [self.optimizer, self.second]

    @property
    def metrics(self) -> list[Any]:
        """Both losses, and the share of samples near a real point."""
        return list(self.meters.values())

    def compile(self, optimizer: Any = "adam", **more: Any) -> None:
        """As of every model; the discriminator gets an optimizer of the same settings."""
        super().compile(optimizer=optimizer, **more)
        self.second = type(self.optimizer).from_config(self.optimizer.get_config())

    def call(self, points: Any, training: bool | None = None) -> Any:
        """Logits of the points, and of as many samples: what fit, the monitor and the summary see of both parts."""
        samples = self.samples(ops.shape(points)[0], training=training)
        return self.discriminator(points, training=training), self.discriminator(samples, training=training)

    def samples(self, count: Any, *, training: bool | None = None) -> Any:
        """Draws points, `[count, features]`."""
        noise = keras.random.normal((count, self.generator.input_shape[-1]), seed=self.seeds)
        return self.generator(noise, training=training)

    def losses_of(self, real: Any, fake: Any) -> tuple[Any, Any]:
        """The generator's and the discriminator's loss, of the logits of both."""
        told = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))
        return (-ops.mean(ops.softplus(fake)) if self.saturating else ops.mean(ops.softplus(-fake))), told

    def train_step(self, points: Any) -> dict[str, Any]:
        """One step of both on the same batch."""
        import tensorflow as tf

        with tf.GradientTape(persistent=True) as tape:
            fooled, told = self.losses_of(*self(points, training=True))
        for loss, part, optimizer in (
            (told, self.discriminator, self.second),
            (fooled, self.generator, self.optimizer),
        ):
            weights = part.trainable_variables
            optimizer.apply(tape.gradient(loss, weights), weights)
        self.meters["generator_loss"].update_state(fooled)
        self.meters["discriminator_loss"].update_state(told)
        return {name: self.meters[name].result() for name in ("generator_loss", "discriminator_loss")}

    def test_step(self, points: Any) -> dict[str, Any]:
        """How many samples are near a point of the batch."""
        apart = self.samples(ops.shape(points)[0])[:, None] - points[None]
        nearest = ops.sqrt(ops.min(ops.sum(ops.square(apart), -1), 1))
        self.meters["near"].update_state(ops.cast(nearest < NEAR, "float32"))
        return {"near": self.meters["near"].result()}

    def get_config(self) -> dict[str, Any]:
        """For saving."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("generator", "discriminator")}
        return {"name": self.name, **parts, "saturating": self.saturating}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Adversarial:
        """From what was saved."""
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("generator", "discriminator")}
        return cls(**{**config, **parts})


def gan(
    *,
    depth: int = 3,
    width: int = 64,
    latent: int = 8,
    saturating: bool = False,
    spectral: bool = False,
    input_shape: tuple[int, ...] = (2,),
    name: str = "gan",
) -> keras.Model:
    """A generator and a discriminator of `Dense` layers.

    Args:
        depth: `Dense` layers of each.
        width: units of each hidden layer.
        latent: numbers that a sample is made of.
        saturating: see `Adversarial`.
        spectral: whether each kernel of the discriminator is divided by its largest singular value.
        input_shape: of a point.
        name: name of the model.

    Returns:
        The model; its parts are called `generator` and `discriminator`, and their layers `g1`, `d1` ...

    Raises:
        ValueError: an argument is out of its range.

    References:
        Goodfellow et al. 2014; Miyato et al. 2018, Spectral normalization for generative adversarial networks.
    """
    at_least(2, depth=depth)
    at_least(1, width=width, latent=latent)

    def dense(units: int, label: str) -> Any:
        layer = layers.Dense(units, kernel_initializer="he_normal", name=label)
        return layers.SpectralNormalization(layer, name=label) if spectral and label.startswith("d") else layer

    x = noise = layers.Input((latent,), name="noise")
    for number in range(1, depth):
        x = layers.ReLU(name=f"g{number}.relu")(dense(width, f"g{number}")(x))
    generator = assemble(noise, dense(input_shape[-1], f"g{depth}")(x), "generator")
    x = point = layers.Input(input_shape, name="point")
    for number in range(1, depth):
        x = layers.LeakyReLU(SLOPE, name=f"d{number}.relu")(dense(width, f"d{number}")(x))
    discriminator = assemble(point, dense(1, f"d{depth}")(x), "discriminator")
    return Adversarial(generator, discriminator, saturating, name=name)
