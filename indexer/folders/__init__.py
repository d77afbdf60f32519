"""Photo folders: what they contain and what changed, by names, sizes and times, without pixels."""
