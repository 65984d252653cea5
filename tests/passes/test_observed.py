"""What a scrape's own pages told, packed."""

from __future__ import annotations

from datetime import UTC, datetime

from bridge.model.scrape import Observation
from bridge.passes.observed import Observations

AT = datetime(2026, 1, 2, tzinfo=UTC)


def test_an_observation_comes_back_as_it_was() -> None:
    one = Observation(7, AT, {"a": [1, None]}, {"b": "why"}, "no", "catalog-info.yml")
    other = Observation(8, AT, {"a": True})
    found = Observations()
    found.put(other)
    found.put(Observation(7, AT, {"a": False}))
    found.put(one)
    assert dict(found) == {8: other, 7: one}
