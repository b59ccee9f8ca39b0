"""
Title: Dead units
Description: Kill the ReLUs of a net with a rate that is too high, find the step at which they died, and cure it.
"""

"""
A ReLU that fires for no example passes on no gradient. So its weights do not move, and it will not fire tomorrow either:
it is dead. Here a learning rate that is far too high kills a net within a few steps. We look at when it happened, and at
what brings the net back. It takes half a minute and needs no download.

## Setup
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerasgrad
import zoo

(x, y), (x_test, y_test) = zoo.tasks.digits()

"""
## A rate that kills

Four `Dense` layers, three of them with a ReLU and He weights: nothing is wrong with this net. The rate is two hundred times
Adam's own. `window` is the number of samples over which a unit must have been silent to count as dead.
"""


def train(model: keras.Model, epochs: int = 2) -> kerasgrad.GradientMonitor:
    """Trains a compiled model under a monitor that keeps its run in memory."""
    monitor = kerasgrad.GradientMonitor(update_freq=5, window=10, verbose=0)
    model.fit(x, y, epochs=epochs, callbacks=[monitor], verbose=0)
    return monitor


def compiled(model: keras.Model, rate: float) -> keras.Model:
    """The same loss and optimizer for all models of this tutorial."""
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


keras.utils.set_random_seed(0)
dead = compiled(zoo.build("plain.relu", depth=4), rate=0.2)
monitor = train(dead)
run = monitor.run
print(run)

"""
The column *zeros* is the share of zeros at this moment, and a healthy ReLU net has many. *dead* is another matter: these
units gave nothing but zero for any example in the last ten samples. No signal passes a dead layer, so everything below it
gets nothing.

## When did they die?

`dead_fraction` is the share of dead units, over time. `run.units` knows of each unit when it last fired, as a step, and -1
if it never did.
"""

share = run.overall("dead_fraction")
for sample in (0, len(run) // 2, len(run) - 1):
    print(f"step {run.steps[sample]}: {share[sample]:.0%} of all units are dead")

for path, units in run.units.items():
    never = np.sum(units.last_fired < 0)
    print(f"{path}: {never} units never fired, the last that did fired at step {units.last_fired.max()}")

kerasgrad.views.dead_units(run)

"""
The damage is done in the first steps. The share rises later, because it takes ten samples to be sure. (At step 0 there is
one sample only: these units gave nothing for that batch, and some of them woke up again.)

## What the rules say

A finding has its evidence and its causes. What follows from another has no remedies of its own: mend the cause.
"""

finding = next(f for f in monitor.diagnosis if f.rule == "dead_units")
print(finding.summary)
print(f"causes: {finding.causes[0]}; {finding.causes[1]}")
cause = monitor.diagnosis.findings[0]
print(f"{finding.rule} follows from {finding.follows_from}. Remedies of {cause.rule}: {', '.join(cause.remedies)}")

"""
## What does not help: a lower rate, afterwards

A remedy is applied to a copy, and the copy keeps the weights. A lower rate would have saved these units. Now it is too late:
what gets no gradient does not move at any rate.
"""


def score(model: keras.Model) -> str:
    """What the model makes of new digits."""
    return f"accuracy on new digits {model.evaluate(x_test, y_test, verbose=0)[1]:.0%}"


slower = kerasgrad.remedies.apply("lower_learning_rate", dead)
print(slower)
again = compiled(slower.model, rate=0.002)
print(f"{train(again).run.overall('dead_fraction')[-1]:.0%} dead, {score(again)}")

"""
## What brings them back

`reset_dead_units` draws the weights of dead units anew. It takes from the run which they are. With a rate that is usual, the
net learns.
"""

reset = kerasgrad.remedies.apply("reset_dead_units", dead, finding=finding, run=run)
print(reset)
revived = compiled(reset.model, rate=0.002)
print(f"{train(revived).run.overall('dead_fraction')[-1]:.0%} dead, {score(revived)}")

"""
`use_leaky_relu` takes another way. A leaky ReLU lets a part of the gradient through where a ReLU lets nothing through, so
that a unit can come back by itself. The weights stay as they are, thrown far off, and so does the rate that threw them.
"""

leaky = kerasgrad.remedies.apply("use_leaky_relu", dead, finding=finding)
print(leaky)
print(f"{train(leaky.model).run.overall('dead_fraction')[-1]:.0%} dead, {score(leaky.model)}")

"""
Compare with the net that was never killed: the same weights at the start, and a usual rate from the first step on.
"""

keras.utils.set_random_seed(0)
healthy = compiled(zoo.build("plain.relu", depth=4), rate=0.002)
print(f"{train(healthy).run.overall('dead_fraction')[-1]:.0%} dead, {score(healthy)}")
