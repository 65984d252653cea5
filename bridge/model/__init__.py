"""Frozen nouns that every room speaks of; no I/O, no third-party imports."""
