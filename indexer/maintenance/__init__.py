"""Maintenance of a collection: backup, verify, prune, relocate, watch, and switching models."""
