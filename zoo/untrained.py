"""The model of a recipe before it is trained."""

from __future__ import annotations

import keras

from zoo import registry
from zoo.recipes import Recipe
from zoo.training.recipe import Training

NUMBERS = {"adding", "seasonal"}
"""Tasks whose answers are numbers, with a squared error; those of all others are classes."""


def build(made: Recipe | Training) -> keras.Model:
    """The model of a recipe, untrained."""
    return registry.build(made.model, **made.overrides)


def compile_for(model: keras.Model, made: Recipe) -> keras.Model:
    """Compiles a model as its recipe says, and gives it back."""
    numbers = made.task in NUMBERS
    model.compile(
        keras.optimizers.get(dict(made.optimizer)),
        "mean_squared_error" if numbers else "sparse_categorical_crossentropy",
        metrics=[] if numbers else ["accuracy"],
        jit_compile=made.compiled,
    )
    return model
