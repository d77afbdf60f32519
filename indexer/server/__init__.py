"""The server engine: collections of a Qdrant server behind aliases."""
