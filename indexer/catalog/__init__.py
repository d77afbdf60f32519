"""The catalog: one LanceDB table that is the truth about the photos, its rows and its files."""
