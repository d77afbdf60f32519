"""Where in a photo: masks, boxes and heat."""
