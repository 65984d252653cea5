"""The facts that Fester promises: names that expressions can use, and a guide that tells them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.model.facts import FactSchema
from bridge.ox.facts import schemas

GUIDE = (Path(__file__).parents[2] / "bridge/docs/facts.md").read_text("utf-8")


@pytest.mark.parametrize("schema", schemas.OURS, ids=lambda schema: schema.id)
def test_every_name_is_an_identifier_and_given_once(schema: FactSchema) -> None:
    names = [fact.name for fact in schema.facts]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in (schema.id, *names))
    assert len(names) == len(set(names))
    assert all(fact.description for fact in schema.facts)


@pytest.mark.parametrize("schema", schemas.OURS, ids=lambda schema: schema.id)
def test_the_guide_names_every_fact(schema: FactSchema) -> None:
    row = re.search(rf"^\| `{schema.id}` \|(.*)$", GUIDE, re.MULTILINE)
    assert row
    assert set(re.findall(r"`(\w+)`", row[1])) == {fact.name for fact in schema.facts}
