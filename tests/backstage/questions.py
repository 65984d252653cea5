"""What the official client is made to ask: every read method, with every option that it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Wanted: TypeAlias = dict[str, Any]

EXISTS = "<exists>"  # stands for the client's symbol CATALOG_FILTER_EXISTS

BY_TITLE: Wanted = {"field": "metadata.title", "order": "asc"}
BY_TITLE_DOWN: Wanted = {"field": "metadata.title", "order": "desc"}
BOATS: Wanted = {"kind": "component", "metadata.tags.boat": "true"}


@dataclass(frozen=True)
class Ask:
    """One call. `walk` goes through all pages and back.

    `unordered`: the order is by uid, which is random in Backstage.
    """

    name: str
    method: str
    args: list[Any] = field(default_factory=list)
    walk: bool = False
    unordered: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"method": self.method, "args": self.args, "walk": self.walk}


FILTERS: dict[str, Any] = {
    "one value": {"kind": "component"},
    "in whatever case": {"KIND": "CompoNent", "Spec.Type": "LIBRARY"},
    "either of two values": {"kind": ["group", "user"]},
    "and": {"kind": "component", "spec.lifecycle": "production", "metadata.tags": "java"},
    "or": [{"kind": "api"}, {"kind": "system", "spec.domain": "water"}],
    "exists": {"spec.profile.email": EXISTS},
    "exists with no value": {"spec.flags.nothing": EXISTS},
    "exists and value": {"metadata.tags": EXISTS, "spec.type": "library"},
    "the path of a text in a list": {"metadata.tags.c++": "true"},
    "through lists of objects": {"spec.nested.list": "y"},
    "through lists of lists": {"spec.matrix": "q"},
    "a key with dots": {"metadata.annotations.example.com/mixed.case": "mixed case value"},
    "a number": {"spec.numbers": "2.5"},
    "a large number": {"spec.numbers": "1e+21"},
    "a small number": {"spec.numbers": "1e-7"},
    "minus zero": {"spec.numbers": "0"},
    "a long number": {"spec.numbers": "123456789012"},
    "a boolean": {"spec.flags.off": "false"},
    "an empty value": {"metadata.labels.empty": ""},
    "an empty object": {"spec.flags.empty": EXISTS},
    "an empty list": {"spec.flags.none": EXISTS},
    "a value too long to be searched": {"metadata.description": "When the water comes. " * 15},
    "a relation": {"relations.ownedBy": "group:default/harbour"},
    "a relation's type": {"relations.dependencyof": EXISTS},
    "umlauts": {"metadata.title": "UNGEWÖHNLICH äöü"},
    "nothing like it": {"kind": "template"},
    "no such key": {"spec.no.such": EXISTS},
    "an empty filter": {},
    "a namespace": {"metadata.namespace": "sea"},
    "the name in another case": {"metadata.name": "TIDE-TABLE"},
}

PREDICATES: dict[str, Any] = {
    "plain": {"kind": "component"},
    "a number": {"spec.numbers": 2.5},
    "a boolean": {"spec.flags.on": True},
    "two fields": {"kind": "Component", "spec.type": "library"},
    "nothing": {},
    "exists": {"spec.system": {"$exists": True}},
    "exists not": {"kind": "component", "metadata.tags": {"$exists": False}},
    "exists without value": {"spec.flags.nothing": {"$exists": True}},
    "in": {"kind": {"$in": ["API", "group"]}},
    "in with numbers": {"spec.numbers": {"$in": [1, True, "x"]}},
    "in of nothing": {"kind": {"$in": []}},
    "prefix": {"metadata.name": {"$hasPrefix": "Tide"}},
    "prefix of nothing": {"metadata.title": {"$hasPrefix": ""}},
    "prefix with a wildcard": {"metadata.title": {"$hasPrefix": "50%_"}},
    "contains": {"metadata.tags": {"$contains": "Java"}},
    "contains a relation": {
        "relations": {"$contains": {"type": "ownedBy", "targetRef": "group:default/pilots"}}
    },
    "contains a relation's type": {"relations": {"$contains": {"Type": "hasPart"}}},
    "contains one of relations": {
        "relations": {
            "$contains": {
                "type": "partof",
                "targetRef": {"$in": ["domain:default/water", "system:default/port"]},
            }
        }
    },
    "prefix beside a wrong operand": {"kind": {"$in": [{}], "$hasPrefix": "comp"}},
    "contains beside a wrong operand": {"metadata.tags": {"$in": [{}], "$contains": "java"}},
    "two operators with operands": {"kind": {"$hasPrefix": "x", "$in": ["api"]}},
    "all": {"$all": [{"kind": "component"}, {"spec.system": {"$exists": True}}]},
    "all of nothing": {"$all": []},
    "any": {"$any": [{"kind": "user"}, {"kind": "group"}]},
    "any of nothing": {"$any": []},
    "not": {"$not": {"kind": "component"}},
    "nested": {
        "$all": [
            {"$not": {"$any": [{"kind": "component"}, {"kind": "location"}]}},
            {"$any": [{"metadata.name": {"$hasPrefix": "p"}}, {"$not": {"kind": "api"}}]},
        ]
    },
}

WRONG_PREDICATES: dict[str, Any] = {
    "a plain value": {"$not": "x"},
    "an unknown operator": {"$nor": []},
    "two operators": {"$all": [], "$any": []},
    "an operator beside a field": {"$all": [], "kind": "x"},
    "all of an object": {"$all": {}},
    "null": {"kind": None},
    "a list": {"kind": ["api"]},
    "an object": {"kind": {"name": "x"}},
    "exists of a text": {"kind": {"$exists": "yes"}},
    "prefix of a number": {"kind": {"$hasPrefix": 1}},
    "contains an object elsewhere": {"kind": {"$contains": {"a": "b"}}},
    "a relation without type": {"relations": {"$contains": {"targetRef": "x"}}},
    "a relation with more": {"relations": {"$contains": {"type": "x", "other": "y"}}},
    "a relation in nothing": {"relations": {"$contains": {"type": "x", "targetRef": {"$in": []}}}},
    "a relation in numbers": {"relations": {"$contains": {"type": "x", "targetRef": 1}}},
    "a relation twice": {"relations": {"$contains": {"type": "x", "TYPE": "y"}}},
}

FIELDS: dict[str, list[str]] = {
    "some": ["kind", "metadata.name", "metadata.namespace"],
    "deep": ["spec.flags.on", "spec.profile", "spec.nested"],
    "with dots": ["metadata.annotations.example.com/Mixed.Case", "spec.dotted.a.b.c.d"],
    "missing": ["metadata.nothing", "spec.no.such"],
    "null": ["spec.flags.nothing"],
    "relations": ["relations"],
    "a part and the whole": ["spec.type", "spec", "metadata.name"],
    "by commas": ["kind,metadata.name", " apiVersion "],
}

TERMS: dict[str, dict[str, Any]] = {
    "in two fields": {"term": "tide", "fields": ["metadata.name", "metadata.title"]},
    "in whatever case": {
        "term": "HARBOUR",
        "fields": ["metadata.title", "spec.profile.displayName"],
    },
    "with spaces around": {"term": "  boat 1 ", "fields": ["metadata.title"]},
    "with a wildcard": {"term": "50%", "fields": ["metadata.title"]},
    "in a list": {"term": "jav", "fields": ["metadata.tags"]},
    "umlauts": {"term": "äö", "fields": ["metadata.title"]},
    "found nowhere": {"term": "submarine", "fields": ["metadata.title"]},
    "in no field": {"term": "tide", "fields": []},
    "without fields": {"term": "tide"},
    "empty": {"term": "", "fields": ["metadata.title"]},
    "fields in another case": {"term": "tide", "fields": ["METADATA.Name"]},
}

# References as a caller writes them; the client wants a kind.
REFS = [
    "component:default/tide-table",
    "COMPONENT:Default/Tide-Table",
    "component:buoy",
    "component:sea/buoy",
    "group:harbour",
    "domain:shore",
    "resource:tide-db",
    "user:ana",
    "api:sea/weather",
    "component:ghost",
]

VALID = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Component",
    "metadata": {"name": "new"},
    "spec": {"type": "service", "lifecycle": "production", "owner": "harbour"},
}
PLACE = "url:https://gitlab.example.com/new/-/blob/main/qm.yaml"

VALIDATED: dict[str, tuple[Any, str]] = {
    "fit": (VALID, PLACE),
    "no owner": ({**VALID, "spec": {"type": "service", "lifecycle": "x"}}, PLACE),
    "a bad name": ({**VALID, "metadata": {"name": "-"}}, PLACE),
    "no name": ({**VALID, "metadata": {}}, PLACE),
    "an unknown kind": ({**VALID, "kind": "Boat"}, PLACE),
    "a kind in lower case": ({**VALID, "kind": "component"}, PLACE),
    "relations": ({**VALID, "relations": []}, PLACE),
    "more at the top": ({**VALID, "more": 1}, PLACE),
    "no version": ({"kind": "Component", "metadata": {"name": "a"}}, PLACE),
    "a number in annotations": (
        {**VALID, "metadata": {"name": "a", "annotations": {"x": 1}}},
        PLACE,
    ),
    "an empty entity": ({}, PLACE),
    "a file": (VALID, "file:/etc/passwd"),
    "a bare address": (VALID, "https://example.com"),
    "no address": (VALID, "url:"),
    "not a place": (VALID, "nowhere"),
    "a script": (VALID, "url:javascript:alert(1)"),
}


def _each(cases: Wanted) -> Iterable[tuple[str, Any]]:
    return cases.items()


def questions(location: dict[str, Any]) -> Iterator[Ask]:
    """Every call; `location` is the registered one (its id is another on each side)."""
    yield from _lists()
    yield from _queries()
    yield from _pages()
    yield from _single()
    yield from _facets()
    yield from _locations(location)
    for name, (entity, place) in VALIDATED.items():
        yield Ask(f"validate {name}", "validateEntity", [entity, place])


def _lists() -> Iterator[Ask]:
    yield Ask("list everything", "getEntities", [{}], unordered=True)
    yield Ask("list without a request", "getEntities", [], unordered=True)
    for name, wanted in FILTERS.items():
        yield Ask(f"list by {name}", "getEntities", [{"filter": wanted}], unordered=True)
    for name, fields in FIELDS.items():
        asked: Wanted = {
            "filter": {"kind": ["component", "group"]},
            "fields": fields,
            "limit": 1000,
        }
        yield Ask(f"list fields {name}", "getEntities", [asked])
    for name, order in _each(
        {
            "up": BY_TITLE,
            "down": BY_TITLE_DOWN,
            "several": [{"field": "kind", "order": "desc"}, BY_TITLE],
            "a field in capitals": {"field": "metadata.TITLE", "order": "asc"},
        }
    ):
        boats = {"filter": {"metadata.title": EXISTS}, "order": order}
        unordered = name == "a field in capitals"
        yield Ask(f"list {name}", "getEntities", [boats], unordered=name == "several")
        paged = {**boats, "limit": 1000}
        yield Ask(f"list page {name}", "getEntities", [paged], unordered=unordered)
    yield Ask("list those without the order's field", "getEntities", [{"order": BY_TITLE}])
    for limit, offset in ((1, 0), (5, 3), (50, 40), (5, 1000)):
        yield Ask(
            f"list {limit} from {offset}", "getEntities", [{"limit": limit, "offset": offset}]
        )
    yield Ask("list from an offset", "getEntities", [{"offset": 38}])
    after = "eyJsaW1pdCI6NCwib2Zmc2V0Ijo4fQ=="  # {"limit":4,"offset":8}
    yield Ask("list after", "getEntities", [{"after": after}])
    for name, wrong in _each(
        {
            "limit 0": {"limit": 0},
            "limit -1": {"limit": -1},
            "limit 1.5": {"limit": 1.5},
            "limit text": {"limit": "many"},
            "offset -1": {"offset": -1},
            "after nonsense": {"after": "nonsense"},
            "after a text": {"after": "eyJsaW1pdCI6ICJhIn0="},
            "fields of a list": {"fields": ["spec.list[0]"]},
            "an order without field": {"order": {"field": "", "order": "asc"}},
            "a filter without key": {"filter": {"": "x"}},
        }
    ):
        yield Ask(f"list refuses {name}", "getEntities", [wrong])


def _queries() -> Iterator[Ask]:
    most = {"limit": 1000}
    yield Ask("query everything", "queryEntities", [most], unordered=True)
    yield Ask("query as it comes", "queryEntities", [], unordered=True)
    for name, wanted in FILTERS.items():
        yield Ask(f"query by {name}", "queryEntities", [{"filter": wanted, **most}], unordered=True)
    for name, query in PREDICATES.items():
        asked = {"query": query, **most}
        yield Ask(f"query where {name}", "queryEntities", [asked], unordered=True)
        both = {"query": query, "filter": {"kind": "component"}, **most}
        yield Ask(f"query component where {name}", "queryEntities", [both], unordered=True)
    for name, query in WRONG_PREDICATES.items():
        yield Ask(f"query refuses {name}", "queryEntities", [{"query": query}])
    for name, search in TERMS.items():
        for verb, query in (
            ("get", {}),
            ("post", {"query": {"metadata.title": {"$exists": True}}}),
        ):
            asked = {"fullTextFilter": search, **query, **most}
            yield Ask(f"query {verb} text {name}", "queryEntities", [asked], unordered=True)
            ordered = {**asked, "orderFields": BY_TITLE}
            yield Ask(f"query {verb} text {name} in order", "queryEntities", [ordered])
    for name, fields in FIELDS.items():
        asked = {"filter": {"kind": "component"}, "orderFields": BY_TITLE, "fields": fields}
        yield Ask(f"query fields {name}", "queryEntities", [asked])
        by_predicate = {"query": {"kind": "component"}, "orderFields": BY_TITLE, "fields": fields}
        yield Ask(f"query where fields {name}", "queryEntities", [by_predicate])
    for name, order in _each(
        {
            "up": BY_TITLE,
            "down": BY_TITLE_DOWN,
            "by two": [BY_TITLE_DOWN, {"field": "kind", "order": "asc"}],
            "in capitals": {"field": "METADATA.Title", "order": "asc"},
            "by what nothing has": {"field": "spec.no.such", "order": "asc"},
        }
    ):
        yield Ask(f"query {name}", "queryEntities", [{"orderFields": order, **most}])
        where: Wanted = {"query": {}, "orderFields": order, **most}
        yield Ask(f"query where {name}", "queryEntities", [where])
    tags = {"orderFields": {"field": "metadata.tags", "order": "asc"}, **most}
    yield Ask("query by a list", "queryEntities", [tags], unordered=True)
    for total in ("include", "exclude"):
        for query in ({}, {"query": {"kind": "component"}}):
            asked = {"totalItems": total, "orderFields": BY_TITLE, "limit": 5, **query}
            verb = "post" if query else "get"
            yield Ask(f"query {verb} total {total}", "queryEntities", [asked])
    yield Ask("query count only", "queryEntities", [{"limit": 0, "filter": {"kind": "api"}}])
    yield Ask("query count where", "queryEntities", [{"limit": 0, "query": {"kind": "api"}}])
    offset = {"limit": 4, "offset": 20, "orderFields": BY_TITLE}
    yield Ask("query from an offset", "queryEntities", [offset])
    yield Ask("query where from an offset", "queryEntities", [{**offset, "query": {}}])
    for name, wrong in _each(
        {
            "limit -1": {"limit": -1},
            "limit text": {"limit": "many"},
            "an order": {"orderFields": {"field": "a", "order": "up"}},
            "a total": {"totalItems": "some"},
            "a total where": {"totalItems": "some", "query": {"kind": "x"}},
            "an order where": {
                "orderFields": {"field": "a", "order": "up"},
                "query": {"kind": "x"},
            },
            "a cursor": {"cursor": "nonsense"},
            "a cursor of nothing": {"cursor": "e30="},
            "fields where": {"fields": ["a[0]"], "query": {"kind": "x"}},
        }
    ):
        yield Ask(f"query refuses {name}", "queryEntities", [wrong])


def _pages() -> Iterator[Ask]:
    titled = {"metadata.title": EXISTS}
    for name, asked in _each(
        {
            "up": {"orderFields": BY_TITLE, "limit": 7},
            "down": {"orderFields": BY_TITLE_DOWN, "limit": 7},
            "filtered": {"orderFields": BY_TITLE, "limit": 5, "filter": BOATS},
            "filtered to whole pages": {"orderFields": BY_TITLE, "limit": 23, "filter": BOATS},
            "where": {"orderFields": BY_TITLE, "limit": 5, "query": {"kind": "component"}},
            "where, down": {
                "orderFields": BY_TITLE_DOWN,
                "limit": 9,
                "query": {"kind": "component"},
            },
            "by text": {"orderFields": BY_TITLE, "limit": 4, "fullTextFilter": {"term": "boat"}},
            "with fields": {"orderFields": BY_TITLE, "limit": 10, "fields": ["metadata.name"]},
            "without total": {"orderFields": BY_TITLE, "limit": 10, "totalItems": "exclude"},
            "one by one": {
                "orderFields": BY_TITLE,
                "limit": 1,
                "filter": {"kind": ["user", "group"]},
            },
        }
    ):
        yield Ask(f"pages {name}", "queryEntities", [asked], walk=True)
    by_uid = {"limit": 6, "filter": titled}
    yield Ask("pages by uid", "queryEntities", [by_uid], walk=True, unordered=True)
    by_tag = {"limit": 6, "orderFields": {"field": "metadata.tags", "order": "desc"}}
    yield Ask("pages by a list", "queryEntities", [by_tag], walk=True, unordered=True)
    for name, asked in _each(
        {
            "all": {"pageSize": 9, "orderFields": BY_TITLE},
            "filtered": {"pageSize": 4, "orderFields": BY_TITLE, "filter": BOATS},
            "where": {"pageSize": 4, "orderFields": BY_TITLE, "query": {"kind": "component"}},
            "fields": {"pageSize": 40, "orderFields": BY_TITLE, "fields": ["metadata.name"]},
            "text": {"orderFields": BY_TITLE, "fullTextFilter": {"term": "tide"}},
            "nothing": {"filter": {"kind": "template"}},
        }
    ):
        yield Ask(f"stream {name}", "streamEntities", [asked])


def _single() -> Iterator[Ask]:
    for ref in REFS:
        yield Ask(f"entity {ref}", "getEntityByRef", [ref])
        yield Ask(f"ancestors of {ref}", "getEntityAncestors", [{"entityRef": ref}])
    compound = {"kind": "Component", "namespace": "sea", "name": "BUOY"}
    yield Ask("entity by name", "getEntityByName", [compound])
    yield Ask("entity by name alone", "getEntityByName", [{"kind": "user", "name": "ana"}])
    yield Ask("entities by refs", "getEntitiesByRefs", [{"entityRefs": REFS}])
    yield Ask("entities by no refs", "getEntitiesByRefs", [{"entityRefs": []}])
    for name, more in _each(
        {
            "fields": {"fields": ["metadata.name", "relations"]},
            "a filter": {"filter": {"kind": "component"}},
            "filters": {"filter": [{"kind": "user"}, {"metadata.namespace": "sea"}]},
            "a predicate": {"query": {"relations": {"$contains": {"type": "ownedBy"}}}},
            "both": {"query": {"$not": {"kind": "user"}}, "filter": {"metadata.tags": EXISTS}},
            "a wrong predicate": {"query": {"$nor": []}},
            "wrong fields": {"fields": ["a["]},
        }
    ):
        asked = {"entityRefs": REFS, **more}
        yield Ask(f"entities by refs with {name}", "getEntitiesByRefs", [asked])


def _facets() -> Iterator[Ask]:
    names = ["kind", "spec.type", "metadata.tags", "relations.ownedBy", "no.such", "Metadata.Title"]
    yield Ask("facets", "getEntityFacets", [{"facets": names}])
    for name, wanted in _each(
        {
            "filter": {"kind": "component"},
            "filters": [{"kind": "user"}, BOATS],
        }
    ):
        yield Ask(f"facets with {name}", "getEntityFacets", [{"facets": names, "filter": wanted}])
    for name, query in PREDICATES.items():
        yield Ask(f"facets where {name}", "getEntityFacets", [{"facets": names, "query": query}])
    both = {"facets": ["kind"], "query": {"$not": {"kind": "user"}}, "filter": {"kind": "user"}}
    yield Ask("facets with both", "getEntityFacets", [both])
    yield Ask(
        "facets of values", "getEntityFacets", [{"facets": ["spec.numbers", "spec.flags.on"]}]
    )
    yield Ask("facets of nothing", "getEntityFacets", [{"facets": []}])
    yield Ask("facets of an empty name", "getEntityFacets", [{"facets": [""]}])
    yield Ask("facets of nothing where", "getEntityFacets", [{"facets": [], "query": {"a": "b"}}])
    wrong = {"facets": ["kind"], "query": {"$nor": []}}
    yield Ask("facets refuse an operator", "getEntityFacets", [wrong])


def _locations(location: dict[str, Any]) -> Iterator[Ask]:
    target = location["target"]
    yield Ask("locations", "getLocations", [])
    yield Ask("location by id", "getLocationById", [location["id"]])
    yield Ask("location by a wrong id", "getLocationById", ["nowhere"])
    yield Ask("location by ref", "getLocationByRef", [f"url:{target}"])
    yield Ask("location by a wrong ref", "getLocationByRef", ["url:https://example.com"])
    for ref in ("component:tide-table", location["entityRef"], "component:ghost"):
        shown = ref if ref != location["entityRef"] else "the location's own entity"
        yield Ask(f"location by {shown}", "getLocationByEntity", [ref])
    for name, query in _each(
        {
            "nothing": None,
            "type": {"type": "URL"},
            "target": {"target": target.upper()},
            "entity": {"entityRef": {"$exists": True}},
            "in": {"type": {"$in": ["file", "url"]}},
            "in nothing": {"type": {"$in": []}},
            "prefix": {"target": {"$hasPrefix": "HTTP://127"}},
            "contains": {"target": {"$contains": "http"}},
            "not": {"$not": {"type": "url"}},
            "all": {"$all": [{"type": "url"}, {"target": {"$hasPrefix": "http"}}]},
            "all of nothing": {"$all": []},
            "any": {"$any": [{"type": "file"}, {"type": "url"}]},
            "any of nothing": {"$any": []},
            "an unknown key": {"name": "x"},
        }
    ):
        asked = {} if query is None else {"query": query}
        yield Ask(f"locations where {name}", "queryLocations", [asked])
        yield Ask(f"stream locations where {name}", "streamLocations", [asked])
    for name, wrong in _each(
        {
            "limit 0": {"limit": 0},
            "an empty cursor": {"cursor": ""},
            "a cursor": {"cursor": "nonsense"},
        }
    ):
        yield Ask(f"locations refuse {name}", "queryLocations", [wrong])
    yield Ask("locations by ones", "queryLocations", [{"limit": 1}])
