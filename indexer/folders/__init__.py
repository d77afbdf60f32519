"""What lies in the folders of photos, and what changed there: names, sizes and times, no pixels."""
