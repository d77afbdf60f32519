"""Measures region search over a whole set of pictures; see `run`."""
