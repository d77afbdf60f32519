"""Locate a query within a photo: masks, boxes and heatmaps."""
