"""Settings for all tests: the CPU backend, two logical devices for the strategies, quiet TensorFlow."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
import tensorflow as tf

_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Each test begins with the same names and the same random numbers, and leaves the policy as it was.

    Memory is freed once a file (`_swept`): looking through all of it takes a second, which had been most of most tests.
    """
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="module")
def _swept() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    """A TensorBoard of each loader, for all tests of the tab: their addresses, and the directory of runs that both read."""
    import board

    root = tmp_path_factory.mktemp("tab") / "logs"
    runs = board.write_all(root)
    with board.launched(root) as rust, board.launched(root, "--load_fast=false") as python:
        urls = {"rust": rust, "python": python}
        for url in urls.values():
            board.wait_until_read(url, runs)
        yield urls, root
