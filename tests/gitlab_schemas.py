"""GitLab's own schemas: of the oldest one that is supported, and a new one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, extend_schema, parse

_FOLDER = Path(__file__).parents[2] / "shared" / "gitlab-schema"


@cache
def gitlab_schema(version: str, more: str) -> GraphQLSchema:
    """The schema of a version, with what the one at hand was reduced by."""
    return extend_schema(_at_hand(version), parse(more), assume_valid=True)


@cache
def _at_hand(version: str) -> GraphQLSchema:
    file = _FOLDER / f"{version}.graphql"
    if not file.is_file():
        pytest.skip(f"GitLab's schema {version} is not at hand: no query was checked against it")
    return build_schema(file.read_text("utf-8"), assume_valid=True, no_location=True)
