"""Publishing: rendering (pure), planning (pure), and destinations."""

from __future__ import annotations

from pathlib import Path

from bridge.errors import ConfigurationError
from bridge.exporters.filesystem import FolderExporter
from bridge.exporters.gcs import GcsExporter
from bridge.model.problems import Problem
from bridge.ports import Exporter


def destination(text: str) -> Exporter:
    """The exporter for a destination as a user writes it: `gs://bucket/prefix` or a folder.

    Raises `ConfigurationError` for any other scheme.
    """
    scheme, found, _ = text.partition("://")
    if not found:
        return FolderExporter(Path(text))
    if scheme == "gs":
        return GcsExporter(text)
    message = f"{text!r} is no destination: expected a folder or gs://bucket/prefix"
    raise ConfigurationError([Problem(message, "destination-unknown")])


__all__ = ["FolderExporter", "GcsExporter", "destination"]
