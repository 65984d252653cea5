"""Shards depend on the entities alone: what changed tells what a look at all of them would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.passes.layout import Counts, changed_layout
from tests.laws import examples

DEPTH, LIMIT = 9, 2  # deeper than one question looks
places = st.sets(st.text("01", min_size=DEPTH, max_size=DEPTH), max_size=24)


def split(found: Collection[str], bits: str = "") -> set[str]:
    """The shards of these places, made from nothing."""
    below = [each for each in found if each.startswith(bits)]
    if not below:
        return set()
    if len(below) <= LIMIT or len(bits) == DEPTH:
        return {bits}
    return split(below, f"{bits}0") | split(below, f"{bits}1")


@settings(max_examples=examples(300), deadline=None)
@given(places, places, places)
async def test_the_shards_after_a_change_are_those_of_all_entities(
    before: set[str], now: set[str], touched: set[str]
) -> None:
    async def count(bits: str, deeper: int) -> Counter[str]:
        return Counter(each[: len(bits) + deeper] for each in now if each.startswith(bits))

    shards, changes = split(before), (before ^ now) | (touched & now)
    layout = await changed_layout(changes, shards, Counts(count).of, limit=LIMIT, depth=DEPTH)
    assert (shards - set(layout.gone)) | set(layout.changed) == split(now)
    for place in changes & now:
        assert any(place.startswith(bits) for bits in layout.changed)
