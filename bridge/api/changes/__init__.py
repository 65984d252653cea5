"""What changed in the catalog: data and a page."""
