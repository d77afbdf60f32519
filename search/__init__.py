"""From a question to hits with boxes, masks, heatmaps and a cut-off."""
