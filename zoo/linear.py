"""The linear recurrent unit: a state of complex numbers, each turned and shrunk by its own factor at every step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class LinearRecurrentUnit(keras.layers.Layer):
    """`h_t = lambda * h_(t-1) + gamma * B x_t`, `y_t = Re(C h_t) + D * x_t`, all steps at once by a scan.

    `|lambda| = exp(-exp(nu))` begins uniform on the ring between two radii, and `gamma = sqrt(1 - |lambda|^2)` keeps the
    state as large as its input. dL/dh_0 is lambda^T of dL/dh_T: the radii say how far the layer can look back.

    Args:
        units: complex numbers of the state.
        radii: the smallest and the largest `|lambda|` that it begins with, between 0 and 1.
        **more: as of every layer.

    Call:
        x: `[examples, steps, features]`. Gives the same shape.

    References:
        Orvieto et al. 2023, Resurrecting recurrent neural networks for long sequences, section 3 and appendix A; all angles,
        0 to 2 pi, are drawn.
    """

    def __init__(self, units: int, radii: tuple[float, float] = (0.9, 0.999), **more: Any) -> None:
        super().__init__(**more)
        if not 0 < radii[0] <= radii[1] < 1:
            raise ValueError(f"`radii` are between 0 and 1, the smaller one first. Received: radii={radii}")
        self.units, self.radii = units, (float(radii[0]), float(radii[1]))

    def build(self, shape: Any) -> None:
        """Makes the weights; B and C are stored as their real and imaginary parts."""
        if shape[1] is None:
            raise ValueError(f"The scan needs to know the number of steps. Received: shape={shape}")
        features, least, most = shape[-1], *self.radii
        # Uniform over the ring's area, lemma 3.2; drawn by Keras so that its seed holds.
        area = keras.random.uniform((self.units,), least**2, most**2, seed=keras.random.SeedGenerator())
        angle = keras.random.uniform((self.units,), 1e-6, 2 * np.pi, seed=keras.random.SeedGenerator())
        radius = np.sqrt(np.asarray(area, "float64"))
        self.nu = self._weight("nu", np.log(-np.log(radius)))
        self.angle = self._weight("angle", np.log(np.asarray(angle, "float64")))
        self.gamma = self._weight("gamma", np.log(np.sqrt(1 - radius**2)))

        def drawn(deviation: float) -> Any:
            return keras.initializers.RandomNormal(stddev=deviation)

        entering, leaving = (2 * features) ** -0.5, self.units**-0.5
        self.entering = self.add_weight(name="entering", shape=(2, features, self.units), initializer=drawn(entering))
        self.leaving = self.add_weight(name="leaving", shape=(2, self.units, features), initializer=drawn(leaving))
        self.past = self.add_weight(name="past", shape=(features,), initializer=drawn(1.0))

    def _weight(self, name: str, value: Any) -> Any:
        def given(shape: Any, dtype: Any = None) -> Any:
            return ops.convert_to_tensor(value, dtype)

        return self.add_weight(name=name, shape=value.shape, initializer=given)

    def call(self, x: Any) -> Any:
        """Runs over all steps."""
        radius, angle = ops.exp(-ops.exp(self.nu)), ops.exp(self.angle)
        driven = [ops.exp(self.gamma) * ops.matmul(x, self.entering[part]) for part in (0, 1)]
        real, imaginary = scanned(driven[0], driven[1], radius * ops.cos(angle), radius * ops.sin(angle))
        return ops.matmul(real, self.leaving[0]) - ops.matmul(imaginary, self.leaving[1]) + self.past * x

    def compute_output_shape(self, shape: Any) -> Any:
        """That of the input."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """For saving."""
        own: dict[str, Any] = super().get_config()
        return own | {"units": self.units, "radii": self.radii}


def scanned(real: Any, imaginary: Any, factor: Any, turned: Any) -> tuple[Any, Any]:
    """`h_t = lambda * h_(t-1) + u_t` for all t, by doubling: after k rounds `h_t` holds what the last `2^k` steps left.

    It is the associative scan of Hillis & Steele 1986. `keras.ops.associative_scan` needs a known number of examples, which
    a functional model in TensorFlow does not have; and here one factor holds for all steps, so that its powers are enough.

    Args:
        real: real part of u, `[examples, steps, units]`; the number of steps is known.
        imaginary: its imaginary part.
        factor: real part of lambda, `[units]`.
        turned: its imaginary part.

    Returns:
        Real and imaginary part of h.
    """
    distance = 1
    while distance < real.shape[1]:
        before = ((0, 0), (distance, 0), (0, 0))
        a, b = ops.pad(real[:, :-distance], before), ops.pad(imaginary[:, :-distance], before)
        real, imaginary = real + factor * a - turned * b, imaginary + factor * b + turned * a
        factor, turned = factor * factor - turned * turned, 2 * factor * turned
        distance *= 2
    return real, imaginary
