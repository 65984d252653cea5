"""Remediation that people keep switched on: issues that come once, stay true, and go away."""
