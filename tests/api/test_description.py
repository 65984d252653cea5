"""Every route is described."""

from __future__ import annotations

import re

from openapi_spec_validator import validate

from bridge.api.app import make_app
from bridge.api.description import description
from bridge.api.live import Live
from bridge.api.parts import AppParts

METHODS = ("get", "post", "put", "delete", "patch")


def described() -> set[tuple[str, str]]:
    return {
        (method, path)
        for path, item in description()["paths"].items()
        for method in METHODS
        if method in item
    }


def test_what_is_described_and_what_is_served_are_the_same() -> None:
    """A new route is described in an `openapi.yaml` beside its handler."""
    served = {
        (route.method.lower(), re.sub(r"\{(\w+):[^}]+\}", r"{\1}", route.resource.canonical))
        for route in make_app(Live(), AppParts()).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert described() == served


def test_the_description_is_openapi() -> None:
    assert description()["openapi"] == "3.1.0"
    validate(description())
