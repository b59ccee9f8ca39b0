"""The one room that knows the inner joints of Keras and TensorFlow; nothing outside it touches a private name of theirs.

`joints`: where a step can be watched. `functions`: what `tf.function` made. `programs`: what a traced function does.
`states`: the Python state that a trace reads.
"""

from kerasgrad.taps.seams.functions import (
    concrete,
    converted,
    is_traced,
    outermost_graph,
    settled,
    traced,
    traced_like,
)
from kerasgrad.taps.seams.joints import Listener, installed, listening
from kerasgrad.taps.seams.programs import assigned, same
from kerasgrad.taps.seams.states import Moment, layers_of, own_variables, trained_as

__all__ = [
    "Listener", "Moment", "assigned", "concrete", "converted", "installed", "is_traced", "layers_of", "listening",
    "outermost_graph", "own_variables", "same", "settled", "traced", "traced_like", "trained_as",
]  # fmt: skip
