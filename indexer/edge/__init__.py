"""The embedded vector engine: immutable shards of Qdrant Edge under one manifest."""
