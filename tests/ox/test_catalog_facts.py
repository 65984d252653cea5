"""What the catalog says of APIs, systems, domains and groups; an entity has its own document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bridge.model.entities import Catalog, CatalogEntity, Json, Ref
from bridge.model.facts import Reading, Subject
from bridge.model.memory import Memory
from bridge.model.scores import CheckState, RollupKind
from bridge.ox.facts.catalog import read
from bridge.ox.facts.schemas import CATALOG, OURS
from bridge.ox.facts.subjects import matches, subjects_of
from bridge.ox.scores.rubric import load_rubric
from bridge.ox.scores.scoreboard import evaluate
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.settings import Settings
from bridge.wiring import wired
from tests.guide import block
from tests.ox.rubrics import shipped
from tests.ox.subjects import NOW, told

NA = "not_applicable"


def entity(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> CatalogEntity:
    body = {"kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
    return CatalogEntity(Ref.of(body), body, ())


def people() -> list[CatalogEntity]:
    channel = {"fester.dev/owner-channel": "#red"}
    return [
        entity("Group", "red", {"type": "team", "children": []}, annotations=channel),
        entity("Group", "blue", {"type": "team", "members": ["a", "b"]}),
        entity("Group", "green", {"children": ["blue"]}),
        entity("User", "kim", {"memberOf": ["red", "group:default/red", "blue"]}),
        entity("User", "mara", {"memberOf": ["group:default/red", "", None, "a/b/c"]}),
        entity("System", "shop", {"owner": "red", "domain": "retail"}, description="Sells"),
        entity("Domain", "retail", {"owner": "group:default/nobody"}),
        entity("Domain", "inner", {"owner": "user:kim", "subdomainOf": "retail"}),
    ]


def services() -> list[CatalogEntity]:
    one: dict[str, Any] = {"owner": "red", "system": "shop"}
    return [
        entity("Component", "web", {**one, "providesApis": ["http"], "consumesApis": ["http"]}),
        entity("Component", "app", {**one, "consumesApis": ["api:default/http", "grpc"]}),
        entity("API", "http", {**one, "type": "openapi", "definition": "openapi: 3.1.0"}),
        entity("API", "grpc", {"owner": "x", "type": "unspecified", "definition": NOTHING}),
        entity("API", "tools", {"owner": 7, "type": "mcp-server", "remotes": [{"url": "x"}]}),
        entity("API", "lost", {"owner": "x", "definition": LOST}),
        entity("API", "file", {"owner": "", "definition": {"$text": "./x.yaml"}}),
    ]


NOTHING = "The manifest of web names this API and gives no definition of it."
LOST = "The definition of this API is nope.yaml of shop/cart."


def readings() -> dict[str, Reading]:
    catalog = Catalog(tuple(sorted([*people(), *services()], key=lambda e: e.ref)))
    subjects = [
        s for s in subjects_of(catalog, Memory(), {}) if matches(CATALOG.entity_filter, s.body)
    ]
    return {str(s.ref): read(s, NOW, frozenset({Ref("user", "default", "kim")})) for s in subjects}


@pytest.mark.parametrize(
    ("ref", "facts"),
    [
        ("api:default/http", {"definition_given": True, "providers": 1, "consumers": 2}),
        ("api:default/http", {"owner_known": True, "type_given": True, "parts": NA, "members": NA}),
        ("api:default/grpc", {"definition_given": False, "type_given": False, "providers": 0}),
        ("api:default/grpc", {"owner_known": False, "consumers": 1}),
        ("api:default/tools", {"definition_given": True, "owner_known": False}),
        ("api:default/lost", {"definition_given": False}),
        ("api:default/file", {"definition_given": True, "type_given": False}),
        ("system:default/shop", {"parts": 3, "description_length": 5, "owner_known": True}),
        ("domain:default/retail", {"parts": 2, "owner_known": False, "definition_given": NA}),
        ("domain:default/inner", {"parts": 0, "owner_known": True}),
        ("group:default/red", {"members": 2, "owned": 4, "channel_given": True}),
        ("group:default/blue", {"members": 2, "owned": 0, "channel_given": False}),
        ("group:default/green", {"members": 1, "type_given": False, "owner_known": NA}),
    ],
)
def test_what_is_known_of_it(ref: str, facts: dict[str, Json]) -> None:
    found = readings()
    assert {name: told(found[ref], name) for name in facts} == facts
    assert "component:default/web" not in found
    assert "user:default/kim" not in found


def test_checks_of_other_kinds_score_what_they_are_about_and_no_roll_up(tmp_path: Path) -> None:
    """With the checks that the guide shows: an API without definition, a team without members."""
    checks = YAML(typ="safe").load(block("scores", "yaml", "checks of other kinds"))
    rubric: dict[str, Any] = YAML(typ="safe").load(block("scores", "yaml", "rubric"))
    rubric["checks"]["described"] = {
        "title": "Described",
        "category": "safety",
        "weight": 1,
        "tiers": "all",
        "pass": "${{ manifest.description_length > 0 }}",
    }
    rubric["checks"] |= {name: {**each, "category": "safety"} for name, each in checks.items()}
    del rubric["examples"]
    with (tmp_path / "rubric.yaml").open("w") as file:
        YAML(typ="safe").dump(rubric, file)
    loaded = load_rubric(tmp_path / "rubric.yaml", OURS)
    alone = entity("Group", "alone", {"type": "team", "children": []})
    owned = entity("Component", "old", {"owner": "alone"})
    every = [*people(), *services(), alone, owned]
    catalog = Catalog(tuple(sorted(every, key=lambda e: e.ref)))
    known = {s.ref: {CATALOG.id: read(s, NOW)} for s in subjects_of(catalog, Memory(), {})}
    board = evaluate(loaded, catalog.entities, known, NOW)

    def state(ref: str, check: str) -> CheckState:
        results = board.scores[Ref.parse(ref)].results
        return next(each.state for each in results if each.check == check)

    assert state("api:default/http", "api-defined") is CheckState.PASS
    assert state("api:default/grpc", "api-defined") is CheckState.FAIL
    assert state("group:default/red", "team-has-members") is CheckState.PASS
    assert state("group:default/alone", "team-has-members") is CheckState.FAIL
    web = board.scores[Ref.parse("component:default/web")]
    assert "api-defined" not in {each.check for each in web.results}
    assert {ref.kind for ref in board.services} == {"component"}
    kinds = {ref.kind for rollup in board.rollups for ref in rollup.members}
    assert kinds == {"component"}
    whole = board.rollup(RollupKind.ORGANIZATION, "all")
    assert whole is not None
    assert whole.services == 3


def test_where_nobody_tells_of_people_a_team_without_members_is_no_finding() -> None:
    """The shipped rubric's checks hold nothing against who could not be seen."""
    team = entity("Group", "red", {"type": "team", "children": []})
    owned = entity("Component", "web", {"owner": "red"})
    for people, stands in (([], CheckState.NOT_APPLICABLE), ([USER], CheckState.FAIL)):
        catalog = Catalog((owned, team, *people))
        (subject,) = [s for s in subjects_of(catalog, Memory(), {}) if s.ref == team.ref]
        board = evaluate(shipped(), [team], {team.ref: {CATALOG.id: read(subject, NOW)}}, NOW)
        (result,) = board.scores[team.ref].results
        assert (result.check, result.state) == ("team-has-members", stands)
        assert (board.scores[team.ref].value is None) is (stands is CheckState.NOT_APPLICABLE)


@pytest.mark.parametrize("kind", ["API", "System", "Domain", "Group"])
def test_of_what_nobody_looked_at_the_shipped_rubric_holds_nothing_bad(kind: str) -> None:
    one = entity(kind, "x", {})
    score = evaluate(shipped(), [one], {}, NOW).scores[one.ref]
    assert score.results
    assert {each.state for each in score.results} == {CheckState.UNKNOWN}
    assert (score.value, score.level) == (None, "")


USER = entity("User", "kim", {"memberOf": []})
SEVERAL = """\
version: 1
kind: service
service: {name: first, lifecycle: production, owner: {team: red}}
---
version: 1
kind: service
service: {name: second, lifecycle: production, owner: {team: red}}
---
version: 1
owner: {team: red}
services: [{name: third}, {name: fourth}]
"""


async def collected(folder: Path, text: str) -> Sequence[Subject]:
    checkouts = folder / "checkouts" / "shop" / "web"
    checkouts.mkdir(parents=True)
    (checkouts / "qm.yaml").write_text(text, "utf-8")
    tree = {"from": str(folder / "checkouts"), "store": f"sqlite:///{folder}/s.db"}
    settings = Settings.model_validate(tree)
    async with wired(settings) as parts:
        await Passes(parts.stages).run(PassOptions())
    async with wired(settings) as parts:  # from the store
        made = await Passes(parts.stages).run(PassOptions())
        done = await made.known()
        return subjects_of(done.catalog, done.memory, {})


@pytest.mark.real
async def test_each_entity_of_a_file_is_shown_with_its_own_document(tmp_path: Path) -> None:
    found = await collected(tmp_path, SEVERAL)
    names = {
        each.ref.name: each.manifest.get("service", each.manifest.get("services"))
        for each in found
        if each.ref.kind == "component"
    }
    assert names["first"]["name"] == "first"
    assert names["second"]["name"] == "second"
    assert names["third"] == names["fourth"] == [{"name": "third"}, {"name": "fourth"}]


UNDEFINED = """\
version: 1
service: {name: web, lifecycle: production, owner: {team: red}, apis: {provides: [{name: orders}]}}
"""


@pytest.mark.real
async def test_what_the_shipped_mapping_writes_for_no_definition_is_none(tmp_path: Path) -> None:
    """A placeholder must stand there for Backstage; it is not taken for a definition."""
    (api,) = [s for s in await collected(tmp_path, UNDEFINED) if s.ref.kind == "api"]
    assert api.body["spec"]["definition"]
    reading = read(api, NOW)
    assert told(reading, "definition_given") is False
    assert (told(reading, "providers"), told(reading, "type_given")) == (1, False)
