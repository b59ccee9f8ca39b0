"""Trainings to compare with: recipes of many epochs, checkpoints, and a queue that trains them one after the other."""
