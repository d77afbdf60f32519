"""Composed queries: things, how they lie to each other, how many, and what is not there."""
