"""What a collection looks like from outside a search: when, where, with what, in which folder."""
