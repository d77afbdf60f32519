"""Browse a collection without searching: by date, place, camera and folder, with facet counts."""
