"""Runs and findings to eyes."""
