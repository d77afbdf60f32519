"""The HTTP search service for programs (`tips serve`)."""
