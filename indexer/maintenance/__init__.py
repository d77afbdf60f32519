"""Keeping a collection: backups, checks, moves, deletions, and another model beside the first."""
