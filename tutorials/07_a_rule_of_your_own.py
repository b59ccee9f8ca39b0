"""
Title: A rule of your own
Description: Compute a statistic from a run, make a rule of it, and have the monitor judge with it while it trains.
"""

"""
The rules know the common ailments. What is an ailment in your work you know better. Here we make a number out of those
that a run holds, turn it into a rule of a few lines, and let the monitor use it. It takes half a minute and needs no
download.

## Setup
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kerasgrad
import zoo
from kerasgrad.rules import Finding, Severity

(x, y), _ = zoo.tasks.digits()


def compiled(model: keras.Model) -> keras.Model:
    """The same loss and optimizer for all models of this tutorial."""
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


keras.utils.set_random_seed(0)
model = compiled(zoo.build("plain.relu", depth=6))
monitor = kerasgrad.GradientMonitor(update_freq=5, verbose=0)
model.fit(x, y, epochs=2, callbacks=[monitor], verbose=0)

"""
## A statistic of your own

A run is tables. `run.layer` gives a statistic of each layer over time, and NumPy does the rest. This asks which part of the
whole signal the last layer keeps for itself; all statistics that there are stand in `kerasgrad.catalogue`.
"""

signal = monitor.run.layer("signal_rms")
whole = np.sum([values**2 for values in signal.values()], axis=0)
for sample in (0, len(whole) // 2, len(whole) - 1):
    share = signal["classes"][sample] ** 2 / whole[sample]
    print(f"step {monitor.run.steps[sample]}: the last layer keeps {share:.0%}")

"""
## A rule

A rule is a function that gets the evidence and gives findings: none if all is well, or, in words, why it cannot judge. The
decorator says what it needs: where a run has no such statistic, or fewer samples, the rule is listed as not examined. Its
name is the function's.
"""


@kerasgrad.rules.rule("layer/signal_rms", least=5)
def greedy_last_layer(seen):
    """The last layer keeps most of the signal for itself."""
    power = seen.layer("signal_rms") ** 2
    share = float(np.median(power[-5:, -1] / power[-5:].sum(axis=1)))
    if share <= 0.6:
        return []
    last = seen.run.layers[-1]
    return [
        Finding(
            severity=Severity.WARNING,
            summary=f"{last} keeps {share:.0%} of the signal.",
            layers=(last,),
            starts_at=last,
            quantity="share of the signal in the last layer",
            measured=share,
            threshold=0.6,
            samples=len(seen),
            remedies=("use_relu", "add_shortcuts"),
        )
    ]


"""
It judges a run by hand, of this training or of one that was recorded a year ago.
"""

print(kerasgrad.diagnose(monitor.run, rules=[greedy_last_layer]))

"""
## While it trains

The monitor takes it beside those that it has. `on_finding` is called when something is found: here to print it, in your
work perhaps to send a message. This time the net has sigmoids.
"""

keras.utils.set_random_seed(0)
sick = compiled(zoo.build("plain.sigmoid", depth=8))
rules = [*kerasgrad.rules.DEFAULT, greedy_last_layer]
watched = kerasgrad.GradientMonitor(update_freq=5, rules=rules, on_finding=lambda f: print(f"found: {f.rule}"), verbose=0)
sick.fit(x, y, epochs=2, callbacks=[watched], verbose=0)

for finding in watched.diagnosis:
    print(f"{finding.severity} {finding.rule}: {finding.summary}")

kerasgrad.views.depth_profile(watched.run, baseline=monitor.run)

"""
What a rule of yours finds is a finding like any other, under the rule's own name: it is in the diagnosis and in the event
file, `stop_on` can name it, and its remedies can be applied. `rule(..., may_follow=("vanishing_gradient",))` would put it
below that finding, where there is one.
"""
