"""From photos to vectors: scan, decode, embed, pool regions, keep the catalog, publish to Qdrant."""
