"""Questions to an index: predicates, order, pages, cursors, and their bounds."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.catalog.cursors import encoded
from bridge.catalog.fields import fields_from, projected
from bridge.catalog.jsontext import js_text, loaded
from bridge.catalog.lists import PageByNumber, listed
from bridge.catalog.locations import located, registered
from bridge.catalog.predicates import (
    DEEPEST,
    MOST_CONDITIONS,
    MOST_VALUES,
    checked,
    filter_from,
    matching,
)
from bridge.catalog.queries import EntityQuery, Order, QueryPage, answered, every, question_from
from bridge.catalog.reader import Reader
from bridge.catalog.rows import Row, rows
from bridge.errors import BadQuestion
from bridge.exporters.render import shards
from tests.backstage.village import village
from tests.catalog.test_reader import catalog_of

INDEX = Reader(shards).read(catalog_of(village()))
NAMES = {slot: ref for ref, slot in INDEX.slots.items()}
ROWS = {ref: rows(loaded(INDEX.raw(ref) or b"")) for ref in INDEX.slots}


def found(query: Any) -> set[str]:
    flags = INDEX.flags(matching(INDEX, checked(query)))
    return {NAMES[slot] for slot, flag in enumerate(flags) if flag}


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ({"$in": [{}], "$hasPrefix": "comp"}, {"$hasPrefix": "comp"}),
        ({"$in": [None], "$contains": "component"}, {"$contains": "component"}),
        ({"$exists": "x", "$in": ["component"]}, {"$in": ["component"]}),
        ({"$exists": False, "$in": ["component"]}, {"$exists": False}),
    ],
)
def test_of_several_operators_the_first_counts_that_is_one(condition: Any, meant: Any) -> None:
    """Backstage's schema drops the others; the test of the client compares it with Backstage."""
    assert found({"kind": condition}) == found({"kind": meant})
    place = registered("https://fester.example.com")
    assert located([place], {"type": condition}) == located([place], {"type": meant})


def naive(query: Any, having: list[Row]) -> bool:
    """A predicate against the rows of one entity, without an index."""
    if "$not" in query:
        return not naive(query["$not"], having)
    if "$any" in query:
        return any(naive(each, having) for each in query["$any"])
    if "$all" in query:
        return all(naive(each, having) for each in query["$all"])
    return all(naive_field(key.lower(), value, having) for key, value in query.items())


def naive_field(key: str, value: Any, having: list[Row]) -> bool:
    values = [text.lower() for name, text in having if name == key and text is not None]
    if not isinstance(value, dict):
        return js_text(value).lower() in values
    if "$exists" in value:
        return any(name == key for name, _ in having) is value["$exists"]
    if "$in" in value:
        return any(js_text(each).lower() in values for each in value["$in"])
    return any(each.startswith(value["$hasPrefix"].lower()) for each in values)


KEYS = st.sampled_from(
    [
        "kind",
        "spec.type",
        "Metadata.Tags",
        "metadata.name",
        "spec.flags.nothing",
        "spec.numbers",
        "no",
    ]
)
VALUES = st.one_of(
    st.sampled_from(["component", "API", "service", "java", "boat", "tide", "2.5", ""]),
    st.sampled_from([2.5, 1, True, False]),
)
CONDITIONS = st.one_of(
    VALUES,
    st.builds(lambda flag: {"$exists": flag}, st.booleans()),
    st.builds(lambda values: {"$in": values}, st.lists(VALUES, max_size=3)),
    st.builds(lambda text: {"$hasPrefix": text}, st.sampled_from(["", "b", "Tide", "group", "z"])),
)
PREDICATES = st.recursive(
    st.dictionaries(KEYS, CONDITIONS, max_size=2),
    lambda inner: st.one_of(
        st.builds(lambda each: {"$all": each}, st.lists(inner, max_size=3)),
        st.builds(lambda each: {"$any": each}, st.lists(inner, max_size=3)),
        st.builds(lambda each: {"$not": each}, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(PREDICATES)
def test_the_index_finds_what_looking_at_every_entity_finds(query: Any) -> None:
    assert found(query) == {ref for ref, having in ROWS.items() if naive(query, having)}


def pages(question: EntityQuery, limit: int) -> list[QueryPage]:
    walked = [answered(INDEX, question, limit=limit)]
    while walked[-1].next:
        walked.append(answered(INDEX, question_from(walked[-1].next), limit=limit))
        assert len(walked) < 200
    return walked


ORDERS = st.sampled_from(["", "metadata.title", "metadata.tags", "kind", "spec.type", "no.such"])


@settings(deadline=None)
@given(PREDICATES, ORDERS, st.booleans(), st.integers(1, 60), st.sampled_from(["", "t", "boat 1"]))
def test_pages_are_the_list_in_parts_there_and_back(
    query: Any, field: str, descending: bool, limit: int, term: str
) -> None:
    orders = (Order(field, descending),) if field else ()
    question = EntityQuery(
        query, orders, term=term, text_fields=("metadata.title",) if term else None
    )
    whole = list(answered(INDEX, question, limit=100_000).slots)
    walked = pages(question, limit)
    assert [slot for page in walked for slot in page.slots] == whole
    assert {page.total for page in walked} == {walked[0].total}
    for ahead, behind in zip(reversed(walked), list(reversed(walked))[1:], strict=False):
        back = answered(INDEX, question_from(ahead.previous), limit=limit)
        assert list(back.slots) == list(behind.slots)
    assert walked[0].previous == ""


def test_the_plain_list_is_every_row() -> None:
    slots = every(INDEX, EntityQuery({"kind": "component"}, (Order("metadata.title"),)))
    titles = [loaded(INDEX.raws[slot])["metadata"]["title"].lower() for slot in slots]
    assert titles == sorted(titles)
    assert len(titles) > 20


def test_numbered_pages_put_those_without_the_field_last() -> None:
    orders = [Order("metadata.title", descending=True)]
    slots, more = listed(INDEX, None, orders, PageByNumber(None, 0))
    titles = [loaded(INDEX.raws[slot])["metadata"].get("title", "").lower() for slot in slots]
    assert titles == sorted(titles, reverse=True)
    assert more is None
    assert titles[-1] == ""


def test_numbered_pages_follow_each_other() -> None:
    orders = [Order("kind"), Order("metadata.title", descending=True)]
    whole, _ = listed(INDEX, None, orders, PageByNumber(None, 0))
    page: PageByNumber | None = PageByNumber(7, 0)
    seen: list[int] = []
    while page is not None:
        slots, page = listed(INDEX, None, orders, page)
        seen += slots
    assert seen == whole


def test_a_cursor_that_was_changed_is_refused_with_a_reason() -> None:
    cursor = answered(INDEX, EntityQuery(orders=(Order("metadata.title"),)), limit=3).next
    content = orjson.loads(base64.b64decode(cursor))
    content["totalItems"] = 0
    changed = base64.b64encode(orjson.dumps(content)).decode()
    with pytest.raises(BadQuestion, match="changed, or another catalog made it"):
        question_from(changed)


@pytest.mark.parametrize(
    "text",
    ["", "x", "bnVsbA==", "W10=", "e30=", "nonsense!", base64.b64encode(b"[" * 9000).decode()],
)
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadQuestion, match="Malformed cursor"):
        question_from(text)


def test_a_cursor_nested_deeper_than_json_can_be_written_is_refused() -> None:
    deep = b'{"query":' + b'{"$not":' * 800 + b"1" + b"}" * 801
    with pytest.raises(BadQuestion, match="Malformed cursor"):
        question_from(base64.b64encode(deep).decode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"orderFields": [{"field": 1, "order": "asc"}]},
        {"orderFields": "x"},
        {"orderFieldValues": [1]},
        {"orderFieldValues": None},
        {"firstSortFieldValues": [{}]},
        {"totalItems": "many"},
        {"fullTextFilter": "x"},
        {"fullTextFilter": {"term": 1}},
        {"fullTextFilter": {"term": "x", "fields": [1]}},
    ],
)
def test_a_cursor_with_nonsense_and_the_right_digest_is_refused(wrong: dict[str, Any]) -> None:
    """The digest is no secret: it tells apart, it does not protect."""
    whole = {
        "orderFields": [],
        "orderFieldValues": ["x"],
        "firstSortFieldValues": ["x"],
        "isPrevious": False,
        "totalItems": 1,
    }
    question_from(encoded(whole))
    with pytest.raises(BadQuestion, match="Malformed cursor"):
        question_from(encoded({**whole, **wrong}))


def test_a_cursor_keeps_the_bounds_of_a_question() -> None:
    whole = {
        "orderFields": [],
        "orderFieldValues": ["x"],
        "firstSortFieldValues": ["x"],
        "isPrevious": False,
        "totalItems": 1,
        "query": {"$any": [{"kind": "x"}] * MOST_CONDITIONS},
    }
    with pytest.raises(BadQuestion, match="conditions"):
        question_from(encoded(whole))


def deep(levels: int) -> Any:
    query: Any = {"kind": "x"}
    for _ in range(levels):
        query = {"$not": query}
    return query


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"$any": [{"kind": "x"}] * MOST_CONDITIONS}, "conditions; ask in parts"),
        ({"kind": {"$in": ["x"] * (MOST_VALUES + 1)}}, "values; ask in parts"),
        (deep(DEEPEST + 1), "levels deep"),
        ({"$any": [{"kind": {"$hasPrefix": "x"}}] * 50}, "conditions; ask in parts"),
        ({"x" * 3000: "y"}, "more than 2000 characters"),
        ({"kind": "y" * 3000}, "more than 2000 characters"),
        ({"kind": {"$in": ["y" * 3000]}}, "more than 2000 characters"),
        ({"ki\nnd": "x"}, "no line ends"),
    ],
)
def test_a_question_beyond_the_bounds_is_refused_with_a_reason(query: Any, reason: str) -> None:
    with pytest.raises(BadQuestion, match=reason):
        checked(query)


def test_too_many_orders_and_fields_are_refused() -> None:
    with pytest.raises(BadQuestion, match="at most 10"):
        EntityQuery(orders=(Order("x"),) * 11)
    with pytest.raises(BadQuestion, match="at most 50"):
        EntityQuery(text_fields=("x",) * 51)
    with pytest.raises(BadQuestion, match="at most 500"):
        EntityQuery(term="x" * 501)
    with pytest.raises(BadQuestion, match="at most 100"):
        fields_from([f"f{number}" for number in range(101)])


def test_a_refusal_shows_only_the_outside_of_what_was_sent() -> None:
    with pytest.raises(BadQuestion) as refused:
        checked({"kind": {"name": {"deep": ["x" * 1000] * 1000}}})
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("texts", "query"),
    [
        ([], None),
        ([" , "], None),
        (["kind=a"], {"kind": "a"}),
        (["kind=a,kind=b"], {"kind": {"$in": ["a", "b"]}}),
        (["kind = a , spec.type"], {"$all": [{"kind": "a"}, {"spec.type": {"$exists": True}}]}),
        (["spec.type,spec.type=a"], {"spec.type": "a"}),
        (["kind=a", "kind=b"], {"$any": [{"kind": "a"}, {"kind": "b"}]}),
        (["url=a=b"], {"url": "a=b"}),
        (["label="], {"label": ""}),
    ],
)
def test_filter_texts_become_predicates(texts: list[str], query: Any) -> None:
    assert filter_from(texts) == query


def test_a_filter_without_a_key_is_refused() -> None:
    with pytest.raises(BadQuestion, match="not a valid statement"):
        filter_from(["kind=a,=b"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (True, "true"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e20, "100000000000000000000"),
        (1e-6, "0.000001"),
        (1.25e-7, "1.25e-7"),
        (2**53 + 1, "9007199254740992"),
        (10**400, "Infinity"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(value: float, text: str) -> None:
    assert js_text(value) == text


def test_fields_follow_keys_that_hold_dots() -> None:
    raw = b'{"metadata":{"annotations":{"a.b/c":"x","d":"y"}},"kind":"K"}'
    assert loaded(projected(raw, ["metadata.annotations.a.b/c"])) == {
        "metadata": {"annotations": {"a.b/c": "x"}}
    }
    assert loaded(projected(raw, ["metadata.", "no", "kind.x"])) == {}
    assert projected(raw, []) == raw
