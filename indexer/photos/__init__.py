"""From the bytes of one photo to pixels and facts, in processes that may die."""
