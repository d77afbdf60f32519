"""The service: search over HTTP, for programs (`tips serve`)."""
