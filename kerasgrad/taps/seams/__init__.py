"""The one room that knows the inner joints of Keras and TensorFlow; nothing outside it touches a private name of theirs.

`joints`: where a step can be watched. `functions`: what `tf.function` made. `programs`: what a traced function does.
`states`: the Python state that a trace reads.
"""

from kerasgrad.taps.seams.functions import (
    can_be_inlined,
    concrete,
    converted,
    graphs_of,
    inlined,
    is_traced,
    outermost_graph,
    settled,
    traced,
    traced_like,
)
from kerasgrad.taps.seams.joints import Listener, installed, listening
from kerasgrad.taps.seams.programs import assigned, same
from kerasgrad.taps.seams.states import PythonState, is_trainer, layers_of, name_of, own_variables, raw_variables, trained_as

__all__ = [
    "Listener",
    "PythonState",
    "assigned",
    "can_be_inlined",
    "concrete",
    "converted",
    "graphs_of",
    "inlined",
    "installed",
    "is_traced",
    "is_trainer",
    "layers_of",
    "listening",
    "name_of",
    "outermost_graph",
    "own_variables",
    "raw_variables",
    "same",
    "settled",
    "traced",
    "traced_like",
    "trained_as",
]
