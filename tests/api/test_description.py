"""Every route is described, and answers as it is described."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import validate
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.api.app import make_app
from bridge.api.description import description
from bridge.api.live import Live
from bridge.api.parts import AppParts
from tests.laws import examples
from tests.running_demo import running_demo

DESCRIBED = description()
LONGEST_LINE = 8000  # what aiohttp reads as a request's first line, about
METHODS = ("get", "post", "put", "delete", "patch")


def described() -> set[tuple[str, str]]:
    return {
        (method, path)
        for path, item in DESCRIBED["paths"].items()
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
    assert DESCRIBED["openapi"] == "3.1.0"
    validate(DESCRIBED)


SCHEMA = schemathesis.openapi.from_dict(DESCRIBED)
CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def fester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`fester demo`, after its first pass and its first scores."""
    with running_demo(tmp_path_factory.mktemp("demo")) as url:
        yield url


@pytest.mark.real
@SCHEMA.parametrize()
@settings(
    max_examples=examples(25),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_answer_is_outside_the_description(case: schemathesis.Case[Any], fester: str) -> None:
    """Whatever is sent, no answer is a fault of the server, or of another status, type or shape."""
    response = case.call(base_url=fester, allow_redirects=False)
    if len(response.request.url or "") > LONGEST_LINE:
        assert response.status_code == 400  # refused before a route is looked for
        return
    case.validate_response(response, checks=CHECKS)
