"""JSON Schema checks, told in words."""
