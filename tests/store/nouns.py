"""Strategies for everything that the store keeps: any text, NUL and half surrogates included."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from bridge.model.entities import Catalog, CatalogEntity, Draft, Origin, Ref
from bridge.model.manifests import CodeOwners, Inherited, Translation, Verdict, as_data
from bridge.model.memory import KnownManifest, KnownProject, Memory, PassRecord
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Outcome, Receipt, Report
from bridge.model.scrape import Project

anything = st.text(st.characters(exclude_categories=()), max_size=6)
names = st.text("abc/é", min_size=1, max_size=6)
moments = st.none() | st.datetimes(
    datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)
)
ids = st.integers(1, 2**63 - 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no others
scalars = st.none() | st.booleans() | st.integers() | numbers | anything
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(anything, inner, max_size=2),
    max_leaves=4,
)
bodies = st.dictionaries(anything, trees, max_size=3)


def some(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


projects = st.builds(
    Project,
    id=ids,
    path=anything,
    description=anything,
    topics=some(anything),
    archived=st.booleans(),
    created_at=moments,
    updated_at=moments,
    last_activity_at=moments,
)
problems = st.builds(
    Problem,
    message=anything,
    rule=anything,
    severity=st.sampled_from(Severity),
    project=anything,
    file=anything,
    line=st.integers(0, 9),
    column=st.integers(0, 9),
    ref=anything,
)
drafts = st.builds(
    Draft,
    body=bodies,
    line=st.integers(1, 9),
    column=st.integers(1, 9),
    places=some(st.tuples(st.text(max_size=5), st.integers(1, 9), st.integers(1, 9))),
)
translations = st.builds(
    Translation,
    verdict=st.sampled_from(Verdict),
    fingerprint=st.just("") | names,  # the mapping's own word, and none of a stranger's
    mapping=anything,
    drafts=some(drafts),
    data=st.lists(trees, max_size=2).map(as_data),
    problems=some(problems),
    reason=anything,
    inherited=some(st.builds(Inherited, key=names, group=anything, file=anything)),
    code_owners=st.none() | st.builds(CodeOwners, file=names, handles=some(anything)),
)
receipts = st.builds(
    Receipt,
    to=anything,
    written=st.integers(0, 9),
    kept=st.integers(0, 9),
    removed=st.integers(0, 9),
    changed=some(anything),
)
counts = st.dictionaries(anything, st.integers(0, 9), max_size=2)
reports = st.builds(
    Report,
    outcome=st.sampled_from(Outcome),
    seconds=st.floats(0, 1e6),
    projects=counts,
    manifests=counts,
    entities=counts,
    gitlab_requests=st.integers(0, 9),
    problems=some(problems),
    published=some(receipts),
    started_at=moments,
    failure=anything,
)
# What is merged has a reference that Backstage takes.
refs = st.builds(
    Ref,
    kind=st.sampled_from(["component", "group"]),
    namespace=st.sampled_from(["default", "shop"]),
    name=st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
)
origins = st.builds(
    Origin,
    project_id=ids,
    project=anything,
    file=anything,
    oid=anything,
    mapping=anything,
    kept_since=moments,
    held_since=moments,
)
entities = st.builds(CatalogEntity, ref=refs, body=bodies, origins=some(origins))
catalogs = st.lists(entities, max_size=2, unique_by=lambda entity: entity.ref).map(
    lambda found: Catalog(tuple(sorted(found, key=lambda entity: str(entity.ref))))
)
records = st.builds(PassRecord, report=reports, catalog=catalogs)
known_projects = st.builds(
    KnownProject,
    project=projects.map(lambda project: project),
    read_at=moments,
    gap_since=moments,
    gap_reason=anything,
)
known_manifests = st.builds(
    KnownManifest,
    project_id=st.integers(1, 3),
    file=names,
    oid=names,
    current=translations,
    held_since=moments,
    good=st.none() | translations,
    good_oid=st.just("") | names,
    broken_since=moments,
)
memories = st.builds(
    lambda known, files: Memory(
        projects={one.project.id: one for one in known},
        manifests={(one.project_id, one.file): one for one in files},
    ),
    st.lists(known_projects, max_size=3),
    st.lists(known_manifests, max_size=3),
)
