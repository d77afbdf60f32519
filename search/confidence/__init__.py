"""The line of confidence: what counts as found in this collection."""
