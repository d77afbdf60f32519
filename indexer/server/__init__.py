"""The server vector engine: collections of a Qdrant server behind aliases."""
