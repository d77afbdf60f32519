"""Photos become vectors: scan, decode, embed, pool regions, keep the catalog, publish."""
