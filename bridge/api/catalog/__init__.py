"""`/api/catalog`: the read API of Backstage's catalog, answered from the last pass."""

from bridge.api.catalog.routes import routes

__all__ = ["routes"]
