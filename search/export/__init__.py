"""Whole answers as files."""
