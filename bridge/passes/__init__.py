"""One pass over the source, passes in a row, and why an entity is as it is."""
