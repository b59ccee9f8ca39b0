"""Rows to TensorBoard event files and back, without TensorFlow. The one format: runs and baselines are such files."""

from kerasgrad.events.directory import check_writable, new_directory, newest
from kerasgrad.events.reader import load
from kerasgrad.events.writer import Writer, add_facts

__all__ = ["Writer", "add_facts", "check_writable", "load", "new_directory", "newest"]
