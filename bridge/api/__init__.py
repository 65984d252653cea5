"""The HTTP side: the published tree, the catalog's state, schemas, health and pages."""
