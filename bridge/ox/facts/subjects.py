"""The entities that facts are about, each with all that a pass knows of it; and filters of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from bridge.model.entities import Body, Catalog, CatalogEntity, Json, Ref
from bridge.model.facts import Subject
from bridge.model.memory import Memory
from bridge.model.scrape import Observation
from bridge.model.suggested_owner import GROUP_PATH, SOURCE_NAME
from bridge.ox.facts.namesakes import namesakes

# Keys of a spec that name others, and the kind that they mean where they say none.
_NAMING: Final = {
    "owner": "group",
    "system": "system",
    "domain": "domain",
    "subdomainOf": "domain",
    "providesApis": "api",
    "consumesApis": "api",
    "memberOf": "group",
    "parent": "group",
}


def subjects_of(
    catalog: Catalog, memory: Memory, observations: Mapping[int, Observation]
) -> tuple[Subject, ...]:
    """Every entity of a pass, in the catalog's order."""
    refs = frozenset(entity.ref for entity in catalog.entities)
    named = named_by(catalog.entities)
    people = any(ref.kind == "user" for ref in refs)
    names = gitlab_names(catalog.entities)
    alike = namesakes(memory)
    return tuple(
        replace(
            _subject(entity, memory, observations, refs),
            named_by=named.get(entity.ref, {}),
            people=people,
            gitlab_names=names,
            namesakes=alike.get(entity.origins[0].project_id, ()) if entity.origins else (),
        )
        for entity in catalog.entities
    )


def named_by(entities: Iterable[CatalogEntity]) -> Mapping[Ref, Counter[str]]:
    """How many entities name each one, by the key of their spec: `owner`, `providesApis` …"""
    found: dict[Ref, Counter[str]] = defaultdict(Counter)
    for entity in entities:
        spec = entity.body.get("spec")
        given = spec if isinstance(spec, Mapping) else {}
        for key, kind in _NAMING.items():
            texts = given.get(key)
            every = texts if isinstance(texts, list | tuple) else [texts]
            for ref in {_ref(text, kind, entity.ref.namespace) for text in every if text}:
                if ref is not None:
                    found[ref][key] += 1
    return found


def gitlab_names(entities: Iterable[CatalogEntity]) -> frozenset[str]:
    """By which names GitLab knows the catalog's groups and people; none without such a group."""
    groups, users = set[str](), set[str]()
    for entity in entities:
        if entity.ref.kind not in ("group", "user"):
            continue
        annotations = entity.body["metadata"].get("annotations")
        given = annotations if isinstance(annotations, Mapping) else {}
        if entity.ref.kind == "user":
            users.add(str(given.get(SOURCE_NAME) or entity.ref.name).lower())
        elif path := given.get(GROUP_PATH):
            groups.add(str(path).lower())
    return frozenset(groups | users) if groups else frozenset()


def _ref(text: Json, kind: str, namespace: str) -> Ref | None:
    try:
        return Ref.parse(text, kind=kind, namespace=namespace) if isinstance(text, str) else None
    except ValueError:
        return None  # no reference: the entity rules report it


def _subject(
    entity: CatalogEntity,
    memory: Memory,
    observations: Mapping[int, Observation],
    refs: frozenset[Ref],
) -> Subject:
    if not entity.origins:
        return Subject(entity, catalog=refs)
    origin = entity.origins[0]
    # Below zero are groups, which have no repository to be asked about.
    known = memory.projects.get(origin.project_id) if origin.project_id >= 0 else None
    return Subject(
        entity,
        project=known.project if known else None,
        manifest=_manifest(memory, origin.project_id, origin.file, entity.ref),
        manifest_file=origin.file,
        observation=observations.get(origin.project_id),
        catalog=refs,
    )


def _manifest(memory: Memory, project_id: int, file: str, ref: Ref) -> Json:
    """The document, of the manifest that stands, that an entity was made from.

    The first one where none was; None when there is no such manifest any more.
    """
    known = memory.manifests.get((project_id, file))
    if known is None:
        return None
    standing = known.good or known.current
    documents = standing.documents
    mine = (each.document for each in standing.drafts if _is_of(each.body, ref))
    number = next(mine, 0)
    return documents[number] if number < len(documents) else next(iter(documents), None)


def _is_of(body: Body, ref: Ref) -> bool:
    try:
        return Ref.of(body) == ref
    except ValueError:
        return False


def matches(entity_filter: Json, body: Body) -> bool:
    """Whether an entity is what a Backstage filter asks for: any of its maps, all of a map's keys.

    A key is a path ("spec.type"); a value, or one of several, must be equal whatever the case.
    """
    if entity_filter is None:
        return True
    filters = entity_filter if isinstance(entity_filter, list | tuple) else [entity_filter]
    return any(_matches_all(each, body) for each in filters if isinstance(each, Mapping))


def _matches_all(wanted: Mapping[str, Json], body: Body) -> bool:
    return all(_matches(values, _at(body, str(path))) for path, values in wanted.items())


def _matches(wanted: Json, found: Json) -> bool:
    if isinstance(wanted, list | tuple):
        return any(_matches(each, found) for each in wanted)
    if isinstance(found, list | tuple):
        return any(_matches(wanted, each) for each in found)
    return found is not None and str(found).lower() == str(wanted).lower()


def _at(tree: Any, path: str) -> Json:
    """What a path leads to; keys may hold dots themselves, as annotations do."""
    if not isinstance(tree, Mapping):
        return None
    if path in tree:
        return tree[path]
    head, dot, rest = path.partition(".")
    while dot:
        if head in tree and (found := _at(tree[head], rest)) is not None:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None
