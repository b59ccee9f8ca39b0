"""Keras programs as other people write them; see `programs_of_others.py`."""
