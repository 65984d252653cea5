"""The command line: one module a command."""

from bridge.cli.program import main

__all__ = ["main"]
