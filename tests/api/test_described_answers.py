"""Whatever is sent, what is answered is described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.api.description import description
from tests.laws import examples
from tests.running_demo import running_demo

pytestmark = pytest.mark.real
LONGEST_LINE = 8000  # what aiohttp reads as a request's first line, about

SCHEMA = schemathesis.openapi.from_dict(description())
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
