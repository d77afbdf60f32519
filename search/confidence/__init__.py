"""The confidence line: which scores count as found in this collection."""
