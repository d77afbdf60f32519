"""Photos that show the same picture, or nearly."""
