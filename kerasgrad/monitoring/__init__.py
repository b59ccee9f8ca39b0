"""The monitor of a training: a callback for `fit`, a driver for loops of one's own, and the session that both run."""
