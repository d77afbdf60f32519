"""Decode photos: from a file's bytes to pixels and facts, in processes that may crash."""
