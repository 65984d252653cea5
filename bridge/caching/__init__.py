"""What is kept from pass to pass."""
