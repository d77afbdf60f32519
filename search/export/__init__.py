"""Export whole answers: CSV, JSON, COCO annotations, and copies of the photos."""
