"""The catalog: one LanceDB table that is the source of truth about the photos."""
