"""The embedded vector engine: immutable Qdrant Edge shards under one manifest."""
