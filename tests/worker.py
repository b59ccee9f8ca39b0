"""One of two workers that train the `mlp` of the grid together; `test_watch.py` starts it: worker.py INDEX PORT PORT."""

from __future__ import annotations

import json
import os
import sys

INDEX, PORTS = int(sys.argv[1]), sys.argv[2:]
os.environ["TF_CONFIG"] = json.dumps(
    {"cluster": {"worker": [f"127.0.0.1:{port}" for port in PORTS]}, "task": {"type": "worker", "index": INDEX}}
)

import keras
import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before anything else runs

from grid import BATCH, GRID

import kerasgrad

keras.utils.set_random_seed(5)
with strategy.scope():
    case = GRID["mlp"]()
    case.model.optimizer.build(case.model.trainable_variables)
model, optimizer = case.model, case.model.optimizer
try:
    kerasgrad.watch(model)
except ValueError as error:
    print(error)


def replica(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))) / BATCH
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


@tf.function
def step(x, y):
    return strategy.reduce("SUM", strategy.run(replica, args=(x, y)), axis=None)


half, stops = BATCH // 2, []
with kerasgrad.watch(model, f"worker{INDEX}", update_freq=1) as w:
    for start in range(0, len(case.x), BATCH):
        mine = slice(start + INDEX * half, start + (INDEX + 1) * half)
        loss = w.step(step, tf.constant(case.x[mine]), tf.constant(case.y[mine]))
        model.stop_training = INDEX == 1 and start >= BATCH  # only one of them sees a reason
        stops.append(w.should_stop)
np.savez(
    f"worker{INDEX}.npz", stops=stops, loss=w.run.overall("loss"), gradient=w.run.table("gradient_norm", "variable"),
    signal=w.run.table("signal_rms", "layer"), weights=np.concatenate([np.ravel(v) for v in model.get_weights()]),
)  # fmt: skip
