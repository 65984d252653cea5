"""Fester: manifests in GitLab become a software catalog that Backstage reads as it is."""

__version__ = "0.1.0"
