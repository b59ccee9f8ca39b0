"""Tensors to numbers: pure, mergeable, one small result a step.

`measure` runs inside the training step and leaves raw moments; `rows` turns them into the catalogue's statistics on the
host, in float64. What is added up on the device can be merged over replicas, calls and variables without special cases.
"""
