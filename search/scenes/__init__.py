"""Composed queries (scenes): things with relations, positions, sizes, counts and negation."""
