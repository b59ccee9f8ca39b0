"""Remedies that only a person can follow: they need to know what the data mean, or what the model is for."""

from __future__ import annotations

from kerasgrad.remedies.remedy import Given, Remedied, Remedy

TEXTS = {
    "check_labels": (
        "Look at examples beside their labels, after all shuffling, mapping and batching: are x and y in the same order? "
        "Can a person tell the label from what the model is given?\n\n"
        "    for features, label in zip(x[:8], y[:8]): print(label, features)"
    ),
    "check_inputs": (
        "Look for what is not finite or far out in the inputs and labels:\n\n"
        "    np.isfinite(x).all(), np.isfinite(y).all(), np.abs(x).max(), np.unique(y)"
    ),
    "check_loss": (
        "Does the loss say what is wanted? Class numbers go with sparse_categorical_crossentropy and a softmax over as many "
        "units as there are classes, one-hot rows with categorical_crossentropy, 0 and 1 with binary_crossentropy and one "
        "sigmoid, numbers with mean_squared_error and no activation."
    ),
    "guard_logarithms": (
        "Keep arguments of logarithms, square roots and divisions in your own losses and layers away from zero:\n\n"
        "    keras.ops.log(keras.ops.maximum(x, 1e-7)); x / keras.ops.maximum(norm, 1e-7)"
    ),
    "scale_targets": (
        "Bring what the model is to predict into the range of its last activation, and back when it predicts:\n\n"
        "    low, high = y.min(), y.max(); y = (y - low) / (high - low)"
    ),
    "lower_penalty": (
        "Take the penalty on the weights a hundred times smaller, or away, and see whether the model learns then:\n\n"
        "    kernel_regularizer=keras.regularizers.L2(1e-4); keras.optimizers.AdamW(weight_decay=4e-3)"
    ),
    "lower_dropout": "Drop less: 0.2 to 0.5 of the units is usual (Srivastava et al. 2014); none until the model learns.",
    "more_data": "Collect or augment more examples; layers such as RandomFlip and RandomCrop do it while the model trains.",
    "stop_early": (
        "Stop when the held-out loss no longer falls, and go back to the best weights:\n\n"
        "    model.fit(..., validation_split=0.2, callbacks=["
        "keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)])"
    ),
    "weigh_classes": (
        "Give rare classes more weight:\n\n"
        "    counts = np.bincount(y); weights = len(y) / (len(counts) * counts)\n"
        "    model.fit(x, y, class_weight=dict(enumerate(weights)))"
    ),
    "add_capacity": (
        "Make layers wider first, then add layers (with shortcuts). A linear model on the same data says how much there is "
        "to gain."
    ),
    "narrow_the_layer": "The layer is wider than its task needs: take as many units as are not dormant, or leave it.",
    "shorten_sequences": "Cut sequences, take every n-th step, or put Conv1D layers with strides before the recurrent one.",
    "add_attention": (
        "Let the answer look at all steps instead of the last state:\n\n"
        "    states = keras.layers.LSTM(units, return_sequences=True)(x)\n"
        "    x = keras.layers.GlobalAveragePooling1D()(keras.layers.MultiHeadAttention(2, units // 2)(states, states))"
    ),
    "add_positions": (
        "Add a vector for each position to what attention is given:\n\n"
        "    x = x + keras.layers.Embedding(length, width)(keras.ops.arange(length))"
    ),
    "find_learning_rate": (
        "Sweep the rate over a few hundred steps and take one well below where the loss rises (Smith 2017):\n\n"
        "    kerasgrad.lr_range(model, x, y)"
    ),
    "scale_learning_rates": (
        "Keras has one rate for all layers. Use an optimizer that divides each update by the size of its gradient "
        "(the remedy use_adam), or scale gradients in a train_step of your own (You et al. 2017, LARS)."
    ),
    "remove_stop_gradient": (
        "Something between this layer and the loss passes no gradient: look for stop_gradient, argmax, casts to integers "
        "and NumPy."
    ),
    "use_differentiable_operations": (
        "Replace argmax, round, sign and casts by what has a derivative: softmax, a straight-through estimate "
        "(x + stop_gradient(round(x) - x)), one_hot of probabilities."
    ),
    "call_the_layer": "The layer has weights and nothing in call uses it: call it, or take it out.",
    "compile_again": (
        "Keras reads `trainable` when it traces the step; compiling makes it trace again. The optimizer starts afresh too, as "
        "it must where other variables are trained:\n\n"
        "    layer.trainable = False; model.compile(optimizer, loss)"
    ),
    "normalize_before_activation": (
        "Normalise between kernel and activation: Dense(units, use_bias=False), BatchNormalization(), Activation('relu')."
    ),
}  # fmt: skip


def _advised(name: str) -> Remedy:
    def act(given: Given) -> Remedied:
        return Remedied(name, advice=TEXTS[name])

    return Remedy(name, act, TEXTS[name], is_advice=True)


REMEDIES = tuple(_advised(name) for name in TEXTS)
