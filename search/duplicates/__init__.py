"""Find photos that show the same or nearly the same picture."""
