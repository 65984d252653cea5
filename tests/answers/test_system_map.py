"""What a map draws: who is inside, what crosses its border, and how a large one folds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.answers.system_map import MOST_BOXES, Arrow, ArrowKind, Box, SystemMap, system_map
from bridge.api.pages.map_layout import HEIGHT, WIDTH, drawing
from tests.answers.fleet import FLEET, entity, known, service


def test_a_systems_map_holds_its_services_and_what_they_need() -> None:
    found = system_map("system:default/shop", known(*FLEET))
    assert found is not None
    assert {(box.ref.rpartition("/")[2], box.outside, box.known) for box in found.boxes} == {
        ("cart", False, True),
        ("stock", False, True),
        ("web", False, True),
        ("mail", False, True),
        ("gone", True, False),  # nobody describes it
    }
    assert Arrow("component:default/web", "component:default/cart", ArrowKind.NEEDS) in found.arrows
    assert system_map("system:default/nope", known(*FLEET)) is None


def test_an_entitys_map_is_what_it_is_tied_to() -> None:
    found = system_map("component:default/web", known(*FLEET))
    assert found is not None
    assert {(arrow.source[18:], arrow.target[18:]) for arrow in found.arrows} == {
        ("web", "cart"),
        ("mail", "web"),
    }


def test_documents_are_no_boxes_but_on_maps_of_their_own() -> None:
    spec = {"dependencyOf": ["component:default/hub"]}
    runbook = entity("Resource", "hub-runbook", spec={**spec, "type": "Golden_Path"})
    database = entity("Resource", "hub-db", spec={**spec, "type": "database"})
    everything = known(service("hub", needs=()), runbook, database)
    for asked in ("", "component:default/hub"):
        found = system_map(asked, everything)
        assert found is not None
        assert {box.ref for box in found.boxes} == {
            "component:default/hub",
            "resource:default/hub-db",
        }
    own = system_map("resource:default/hub-runbook", everything)
    assert own is not None
    assert [(each.source, each.target) for each in own.arrows] == [
        ("component:default/hub", "resource:default/hub-runbook")
    ]


def many(systems: int, each: int, domains: int = 1) -> list[Any]:
    """Services in a chain, so many a system, their systems dealt to so many domains."""
    made: list[Any] = []
    for number in range(systems):
        domain = f"domain:default/d{number % domains}"
        made.append(entity("System", f"s{number}", spec={"domain": domain}))
        for other in range(each):
            before = f"c{number}-{other - 1}" if other else f"c{number - 1}-0"
            made.append(service(f"c{number}-{other}", needs=(before,) if number or other else ()))
            made[-1].body["spec"]["system"] = f"system:default/s{number}"
    return [*made, *(entity("Domain", f"d{number}") for number in range(domains))]


def test_a_large_map_folds_by_system_then_by_domain() -> None:
    few = system_map("", known(*many(10, MOST_BOXES // 10)))
    assert few is not None
    assert (few.folded, len(few.boxes)) == ("", MOST_BOXES)
    systems = system_map("", known(*many(20, MOST_BOXES // 10)))
    assert systems is not None
    assert (systems.folded, len(systems.boxes)) == ("system", 20)
    assert {box.holds for box in systems.boxes} == {MOST_BOXES // 10}
    assert len(systems.arrows) == 19  # each system's first service needs the one's before
    domains = system_map("", known(*many(MOST_BOXES + 1, 1, domains=3)))
    assert domains is not None
    assert (domains.folded, len(domains.boxes)) == ("domain", 3)
    assert sum(box.holds for box in domains.boxes) == MOST_BOXES + 1


def test_what_lies_in_no_system_folds_into_a_box_that_says_so() -> None:
    alone = [service(f"alone-{number}") for number in range(2)]
    for each in alone:
        del each.body["spec"]["system"]
    found = system_map("", known(*many(20, MOST_BOXES // 10), *alone))
    assert found is not None
    assert [(box.title, box.holds) for box in found.boxes if not box.known] == [("No system", 2)]


def test_a_domains_map_holds_what_lies_in_domains_below_it() -> None:
    below = entity("Domain", "below", spec={"subdomainOf": "domain:default/d0"})
    system = entity("System", "deep", spec={"domain": "domain:default/below"})
    inner = service("inner")
    inner.body["spec"]["system"] = "system:default/deep"
    found = system_map("domain:default/d0", known(*many(1, 2), below, system, inner))
    assert found is not None
    assert {box.ref.rpartition("/")[2] for box in found.boxes} == {"c0-0", "c0-1", "inner"}


@pytest.mark.parametrize(
    "ref", ["", "domain:default/d1", "system:default/s3", "component:default/c3-1"]
)
def test_the_index_tells_of_many_what_reading_tells_of_few(
    ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = known(*many(30, 4, domains=2))
    read = system_map(ref, everything)
    monkeypatch.setattr("bridge.answers.ties.READ", 0)
    assert system_map(ref, everything) == read
    assert read is not None
    assert read.arrows


REFS = [f"component:default/{letter}" for letter in "abcdefgh"]
ARROWS = st.lists(st.tuples(st.sampled_from(REFS), st.sampled_from(REFS)), max_size=20)


@given(ARROWS)
def test_no_two_boxes_overlap_whatever_needs_what(pairs: list[tuple[str, str]]) -> None:
    """Circles and loops as well; and the same map is drawn alike each time."""
    boxes = tuple(Box(ref, ref, "Component", group=ref[-1:]) for ref in REFS)
    arrows = tuple(Arrow(a, b, ArrowKind.NEEDS) for a, b in dict.fromkeys(pairs))
    found = SystemMap("x", boxes, arrows)
    drawn = drawing(found)
    assert drawn == drawing(found)
    assert len(drawn.boxes) == len(REFS)
    corners = [(each.x, each.y) for each in drawn.boxes]
    for at, (x, y) in enumerate(corners):
        assert 0 <= x <= drawn.width - WIDTH
        assert 0 <= y <= drawn.height - HEIGHT
        for a, b in corners[:at]:
            assert abs(x - a) >= WIDTH or abs(y - b) >= HEIGHT


def test_who_needs_stands_left_of_what_is_needed() -> None:
    pairs = [("a", "b"), ("b", "c"), ("a", "c")]
    arrows = tuple(
        Arrow(f"component:default/{a}", f"component:default/{b}", ArrowKind.NEEDS) for a, b in pairs
    )
    boxes = tuple(Box(ref, ref, "Component") for ref in REFS[:3])
    at = {each.box.ref[-1]: each.x for each in drawing(SystemMap("x", boxes, arrows)).boxes}
    assert at["a"] < at["b"] < at["c"]


def test_in_a_circle_who_needs_most_stands_first() -> None:
    """All in one column, a map of what needs each other would tell nothing."""
    ends = {("a", "b"): 9, ("b", "a"): 1, ("b", "c"): 9, ("c", "b"): 1}
    arrows = tuple(
        Arrow(f"component:default/{a}", f"component:default/{b}", ArrowKind.NEEDS, count)
        for (a, b), count in ends.items()
    )
    boxes = tuple(Box(ref, ref, "Component") for ref in REFS[:3])
    drawn = drawing(SystemMap("x", boxes, arrows))
    at = {each.box.ref[-1]: each.x for each in drawn.boxes}
    assert at["a"] < at["b"] < at["c"]
    assert len(drawn.arrows) == len(arrows)
