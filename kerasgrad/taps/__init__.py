"""Where to stand in a Keras model: its layers, gradients, activations, train step and schedule.

`seams` is the one file that knows the framework's inner joints.
"""
