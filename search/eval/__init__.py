"""Evaluate region search on a whole set of pictures; see `run`."""
